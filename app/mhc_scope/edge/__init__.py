"""Limit connections: how long a client may take, how many there may be, and what happens without descriptors."""
