"""The queue: the order of runs, who computes which, and the sweeps that submit them."""
