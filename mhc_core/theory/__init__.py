"""What theory says of a stack before anything is computed."""
