"""The logic behind routes: runs, sweeps, snapshots and recordings, without HTTP and SQL."""
