"""What a run costs: counts, rates, estimates, and the paper's models."""
