"""Limit network connections: their duration and number, and what happens when file descriptors run out."""
