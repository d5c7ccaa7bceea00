"""What is expensive to write, such as the result of a deep run: made in other processes, and kept in files."""
