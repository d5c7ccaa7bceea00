"""For groups: what a server needs that computes on a cluster. The instrument runs without it."""
