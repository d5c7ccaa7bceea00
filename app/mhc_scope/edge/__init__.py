"""Connections: how long a client may take, how many there may be, and what happens where descriptors run out."""
