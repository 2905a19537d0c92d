"""The same pipeline behind other servers, and the endpoint as it is usually written: `python -m FILE PORT WORKERS`."""
