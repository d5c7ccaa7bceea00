"""Checks of runs and records: recomputation by a second implementation of all metrics, laws, and exact relations."""
