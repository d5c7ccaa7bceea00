"""Store runs, their frames and snapshots, and operate the queue: the order of runs, and which server computes each."""
