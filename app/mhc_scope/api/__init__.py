"""Serve the HTTP API, one resource per file, and what all routes share: bodies, problems, event streams."""
