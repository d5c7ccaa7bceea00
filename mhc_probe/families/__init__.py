"""Adapters for families of models, one per file, and the search for the family in a model's structure."""
