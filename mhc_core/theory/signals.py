"""Bands of sizes, gradients and cosines of one network."""

from functools import lru_cache
from typing import NamedTuple

import numpy as np

from mhc_core.theory.backward import Backward
from mhc_core.theory.bands import Band, Walk, find_band
from mhc_core.theory.forward import Forward
from mhc_core.theory.gaussian import Array
from mhc_core.theory.network import Network

SIZES, COSINES = 4, 16  # of `find_slack`; pairs of samples drift apart, whose cosines the law takes as equal


def find_slack(width: int, second_order: float = SIZES) -> float:
    """Return the factor by which bands are widened for terms of second order in 1 / width, which theory leaves out."""
    return 1.05 + second_order / width


# Below, steps stray by more than first order in 1 / width says: those of gradients also by the few samples that have
# most of their mean square. docs/laws.md has how often.
MIN_STEP_WIDTH, MIN_GRADIENT_STEP_WIDTH = 32, 64


class SignalBands(NamedTuple):
    """size: of ln rms. gradient: of ln rms, relative to the loss's own. cosine: mean over pairs; None past a skip."""

    size: Walk
    gradient: Walk
    cosine: Band | None


@lru_cache(maxsize=64)
def find_signal_bands(network: Network) -> SignalBands:
    """Return the bands in which theory expects log10 sizes of states and gradients, and cosines without a skip path."""
    forward = Forward(network)
    backward = Backward(forward)
    return SignalBands(
        _find_walk((forward.log_v[1:, None] + forward.x[1:]) / 2, network.width, MIN_STEP_WIDTH),
        _find_walk(backward.y[1:] / 2, network.width, MIN_GRADIENT_STEP_WIDTH),
        find_band(forward.cosine[1:], find_slack(network.width, COSINES)) if network.skip == 0 else None,
    )


def _find_walk(draws_LD: Array, width: int, least: int) -> Walk:
    """Return the band of a random walk over layers, and of its steps where the width allows one."""
    slack, has_steps = find_slack(width), width >= least and len(draws_LD) > 1
    return Walk(find_band(draws_LD, slack), find_band(np.diff(draws_LD, axis=0), slack) if has_steps else None)
