"""Computes specs and measures them: forward and backward passes, probes, training, seeds, atlas and lens."""
