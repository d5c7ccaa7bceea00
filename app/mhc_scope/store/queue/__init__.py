"""Share the queue between servers: leases, the order of runs, and the servers and viewers that exist."""
