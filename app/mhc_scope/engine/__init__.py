"""Engines, which execute the jobs of a server on workers."""
