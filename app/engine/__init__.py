"""What executes specs."""
