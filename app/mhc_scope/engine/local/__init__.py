"""The engine of one machine: worker processes."""
