"""The bands of activations, gradients and cosines of one network, from its forward and backward theory."""

from functools import lru_cache
from typing import NamedTuple

import numpy as np

from mhc_core.theory.backward import Backward
from mhc_core.theory.bands import Band, Walk, find_band
from mhc_core.theory.forward import Forward
from mhc_core.theory.gaussian import Array
from mhc_core.theory.network import Network

# Arguments of `find_slack`. That of cosines is larger, because the law takes the cosines of all pairs as equal.
SIZES, COSINES = 4, 16


def find_slack(width: int, second_order: float = SIZES) -> float:
    """Return the factor by which bands are widened for second-order terms in 1 / width, which theory neglects."""
    return 1.05 + second_order / width


# In narrower networks, steps deviate by more than first order in 1 / width predicts. Those of gradients also deviate
# because few samples contribute most of the mean square. docs/laws.md says how often.
MIN_STEP_WIDTH, MIN_GRADIENT_STEP_WIDTH = 32, 64


class SignalBands(NamedTuple):
    """The bands of one network.

    size: of ln rms of states. gradient: of ln rms of gradients, relative to that at the output. cosine: of the mean
    cosine over pairs; None if there is a skip path.
    """

    size: Walk
    gradient: Walk
    cosine: Band | None


@lru_cache(maxsize=64)
def find_signal_bands(network: Network) -> SignalBands:
    """Compute the bands of a network: natural logarithms of the sizes of states and gradients, and cosines."""
    forward = Forward(network)
    backward = Backward(forward)
    return SignalBands(
        _find_walk((forward.log_v[1:, None] + forward.x[1:]) / 2, network.width, MIN_STEP_WIDTH),
        _find_walk(backward.y[1:] / 2, network.width, MIN_GRADIENT_STEP_WIDTH),
        find_band(forward.cosine[1:], find_slack(network.width, COSINES)) if network.skip == 0 else None,
    )


def _find_walk(draws_LD: Array, width: int, least: int) -> Walk:
    """Return the band of a random walk over layers, and that of its steps if the width is at least `least`."""
    slack, has_steps = find_slack(width), width >= least and len(draws_LD) > 1
    return Walk(find_band(draws_LD, slack), find_band(np.diff(draws_LD, axis=0), slack) if has_steps else None)
