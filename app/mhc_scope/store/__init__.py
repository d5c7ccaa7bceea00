"""Store runs, their frames, and snapshots."""
