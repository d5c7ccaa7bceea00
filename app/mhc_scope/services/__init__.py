"""Implement what the product does with runs, sweeps and views."""
