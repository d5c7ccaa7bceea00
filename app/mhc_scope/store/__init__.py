"""What is kept: runs, their frames, and snapshots."""
