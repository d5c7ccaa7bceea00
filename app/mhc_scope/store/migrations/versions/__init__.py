"""Change the tables. Each revision is a file, named after its number and its change."""
