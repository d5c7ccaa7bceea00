"""What operators ask of a server: health, readiness, metrics."""
