"""Sweeps: grids of runs over one or two fields of a spec."""
