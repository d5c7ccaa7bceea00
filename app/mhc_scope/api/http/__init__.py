"""What all routes share: bodies, problems, streams."""
