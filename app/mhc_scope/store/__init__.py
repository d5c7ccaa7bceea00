"""Store runs, their frames, and snapshots; and the queue: the order of runs, and who computes which."""
