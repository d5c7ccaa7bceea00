"""Add what groups of people need: accounts, quotas, courses, operators, several servers, and an engine on a cluster.

The instrument runs without it.
"""
