"""Implement what all routes share: bodies, problems, event streams."""
