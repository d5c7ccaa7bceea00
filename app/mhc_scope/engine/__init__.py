"""Execute specs."""
