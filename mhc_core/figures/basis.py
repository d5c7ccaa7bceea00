"""The mixing of one layer in another basis of the streams, as `static/js/figures/basis.js` computes it.

A data source states t in percent: 0 is the given basis, 100 the fixed basis, in which every H_res is the identity. The
path between them is that of `find_gauge`.
"""

from collections.abc import Mapping

import numpy as np

from mhc_core.findings.numerals import format_value
from mhc_core.metrics.gauge import Gauge, apply_gauge, find_gauge
from mhc_core.metrics.mixing import LOST, ROUNDING

PARTS = ("h_pre", "h_post", "h_res")


def build_block(matrices: Mapping[str, np.ndarray], percent: str, cursor: int) -> np.ndarray | None:
    """Build the mixing of the cursor's layer as one matrix (n + 1, n + 1); None without several copied streams.

    The first row is H_pre, the first column H_post, and the rest H_res. The corner is nan. H_pre or H_post is nan if
    rounding to float32, amplified by the basis, could change an entry by 10 % of the largest. In another basis, entries
    that are smaller than a rounding of the largest are 0.
    """
    if any(key not in matrices for key in PARTS) or matrices["h_res"].shape[-1] == 1:
        return None
    layer = min(cursor, len(matrices["h_res"]) - 1)
    h_pre, h_post, h_res = (np.asarray(matrices[key], np.float64) for key in PARTS)
    gauge = find_gauge(h_res, int(percent) / 100, keep_embedding=True)
    read, write, mixed = (part[layer] for part in apply_gauge(h_pre, h_post, gauge))
    if int(percent) > 0:
        read, write, mixed = (_drop_rounding(part) for part in (read, write, mixed))
    n = len(mixed)
    block = np.full((n + 1, n + 1), np.nan)
    block[1:, 1:] = mixed
    if _is_known(gauge, layer):
        block[0, 1:] = read
    if _is_known(gauge, layer + 1):
        block[1:, 0] = write
    return block


def _drop_rounding(weights: np.ndarray) -> np.ndarray:
    """Set weights to 0 that are smaller than a rounding of the largest to float32."""
    return np.where(np.abs(weights) < ROUNDING * np.abs(weights).max(), 0.0, weights)


def _is_known(gauge: Gauge, place: int) -> bool:
    """Return whether the basis at this layer amplifies rounding to float32 to less than `LOST`."""
    with np.errstate(over="ignore", invalid="ignore"):
        condition = np.linalg.norm(gauge.basis[place]) * np.linalg.norm(gauge.inverse[place])
    return bool(condition * len(gauge.basis[place]) * ROUNDING < LOST)


def to_texts(block: np.ndarray) -> list[list[str]]:
    """Format the entries of the mixing of one layer as texts in the matrix."""
    return [[format_value(float(value)) for value in row] for row in block]
