"""What every request goes through before a route has it, and its answer on the way back."""
