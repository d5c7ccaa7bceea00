"""Faults put into the program on purpose: how many do the fast tests find of those that all tests find?

`python -m tests.mutants --help`; docs/mutants.md says how to run it and what came out.
"""
