"""What breaks around a running service, and what must hold then: each fault against the real server."""
