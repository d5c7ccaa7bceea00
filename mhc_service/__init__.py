"""Serve groups: accounts, quotas, courses, operators, and the engine of a cluster. The instrument runs without it."""
