"""The queue of several servers that share one PostgreSQL database."""
