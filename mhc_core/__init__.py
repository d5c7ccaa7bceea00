"""Builds stacks of layers with many kinds of residual connections, and measures the signals in them."""

__version__ = "0.3.0"
