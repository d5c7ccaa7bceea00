"""Stacks of layers, the connections between them, and what can be measured as signals pass."""

__version__ = "0.3.0"
