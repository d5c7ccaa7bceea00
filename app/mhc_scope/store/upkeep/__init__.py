"""What is done to the store beside requests: sweeping, expiry, room, copies, checks."""
