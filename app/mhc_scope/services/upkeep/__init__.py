"""What a server does for its store beside requests: room, readiness, sweeps."""
