"""Products of I + s G, G of independent standard normal entries: what free mixing does to what all streams share."""

from functools import lru_cache

import numpy as np

from mhc_core.rng import normal
from mhc_core.theory.bands import Walk, find_band
from mhc_core.theory.draws import DRAWS
from mhc_core.theory.gaussian import Array


@lru_cache(maxsize=64)
def find_drift_walk(n: int, s: float, layers: int) -> Walk:
    """Of ln max_i |(M_l 1)_i|, M_l a product of l matrices I + s G, n >= 2."""
    draws = sample_drift_gain(n, s, layers)
    return Walk(find_band(draws), find_band(np.diff(draws, axis=0)) if layers > 1 else None)


def sample_drift_gain(n: int, s: float, layers: int) -> Array:
    """Draws (L, D) of ln max_i |(M_l 1)_i|.

    Given v, (I + s G) v is v + s |v| g with g standard normal in n dimensions, so vectors are drawn and not matrices.
    """
    draws = normal(0, f"theory.drift.{n}", -1, layers, DRAWS, n).numpy()
    v, log_size = np.full((DRAWS, n), n**-0.5), np.full(DRAWS, np.log(n) / 2)
    gains = np.empty((layers, DRAWS))
    for layer in range(layers):
        v = v + s * draws[layer]
        size = np.sqrt((v * v).sum(1))
        v /= size[:, None]
        log_size = log_size + np.log(size)
        gains[layer] = log_size + np.log(np.abs(v).max(1))
    return gains
