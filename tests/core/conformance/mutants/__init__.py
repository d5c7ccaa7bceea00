"""Mistakes that were made elsewhere, one a file, each a small change of `PlainMHC`."""
