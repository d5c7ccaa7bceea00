"""The predicted cost of a run: counts, rates of a machine, estimates, and the costs of the mHC paper's models."""
