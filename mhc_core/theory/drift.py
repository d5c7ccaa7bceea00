"""Products of matrices I + s G with standard normal G: the law of the gain of unconstrained mixing with drift."""

from functools import lru_cache

import numpy as np

from mhc_core.rng import normal
from mhc_core.theory.bands import FALSE_ALARM, Walk, find_band
from mhc_core.theory.gaussian import Array

DRIFT_DRAWS = 4096  # the law is exact; the accuracy of its bands depends on the tails of this sample
COMPARISONS = 8  # of a run that may fail by chance, and share the false alarms; here columns and steps, both directions


@lru_cache(maxsize=64)
def find_drift_walk(n: int, s: float, layers: int) -> Walk:
    """Return the bands of ln max_i |(M_l 1)_i|, the log gain, and of its steps. M_l is a product of l matrices I + s G,
    n >= 2.
    """
    draws, alarm = sample_drift_gain(n, s, layers), FALSE_ALARM / COMPARISONS
    steps = find_band(np.diff(draws, axis=0), false_alarm=alarm) if layers > 1 else None
    return Walk(find_band(draws, false_alarm=alarm), steps)


def sample_drift_gain(n: int, s: float, layers: int) -> Array:
    """Return draws (L, D) of ln max_i |(M_l 1)_i|, where M_l is a product of l random matrices I + s G.

    (I + s G) v has the distribution of v + s |v| g, with g standard normal in n dimensions. So vectors are drawn
    instead of matrices.
    """
    draws_LnD = normal(0, f"theory.drift.{n}", -1, layers, n, DRIFT_DRAWS).numpy()
    draws_LnD *= np.float32(s)
    v_nD = np.full((n, DRIFT_DRAWS), n**-0.5, dtype=np.float32)
    growth_LD, largest_LD = np.empty((2, layers, DRIFT_DRAWS), dtype=np.float32)
    for layer in range(layers):
        v_nD += draws_LnD[layer]
        squares_nD = v_nD * v_nD
        growth_LD[layer] = squares_nD.sum(0)
        largest_LD[layer] = squares_nD.max(0) / growth_LD[layer]
        v_nD /= np.sqrt(growth_LD[layer])
    return (np.cumsum(np.log(growth_LD), axis=0, dtype=np.float64) + np.log(largest_LD) + np.log(n)) / 2
