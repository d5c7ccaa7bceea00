"""Families of models, one a file, and how a family is recognised by the structure of a model."""
