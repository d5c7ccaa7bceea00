"""Serve the HTTP API, one resource per file."""
