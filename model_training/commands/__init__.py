"""The verbs, one file a group; each registers itself on the app."""
