"""Bands of sizes, gradients and cosines of one network."""

from functools import lru_cache
from typing import NamedTuple

from mhc_core.theory.backward import Backward
from mhc_core.theory.bands import Band, find_band
from mhc_core.theory.forward import Forward
from mhc_core.theory.network import Network


def find_slack(width: int) -> float:
    """How much wider bands are than their draws: for what is of second order in 1 / width, and is left out."""
    return 1.1 + 4 / width


class SignalBands(NamedTuple):
    """size: of ln rms. gradient: of ln rms, relative to the loss's own. cosine: mean over pairs; None past a skip."""

    size: Band
    gradient: Band
    cosine: Band | None


@lru_cache(maxsize=64)
def find_signal_bands(network: Network) -> SignalBands:
    """Where the state, or its gradient, leaves each layer."""
    forward, slack = Forward(network), find_slack(network.width)
    backward = Backward(forward)
    return SignalBands(
        find_band((forward.log_v[1:, None] + forward.x[1:]) / 2, slack),
        find_band(backward.y[1:] / 2, slack),
        find_band(forward.cosine[1:], slack) if network.skip == 0 else None,
    )
