"""Serve the HTTP API: one file per resource, and files that routes share, such as bodies, problems, event streams."""
