"""Estimate how much tokens change the coefficients of a checkpoint, which biases alone do not show. numpy, float64.

Raw coefficients are s (w . x) + b, where x is the streams' content, normed to a root mean square of 1. Over states x
of random direction, w . x has mean 0 and standard deviation |w|, so that a typical token adds s |w| to b.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from mhc_probe.checkpoint.safetensors import READABLE, TensorLocation, read_chunks, read_values
from mhc_probe.checkpoint.sites import PROJECTION, SCALE, CheckpointLayer


class Reach(NamedTuple):
    """Root mean square, over layers and logits, of what a token of random direction adds to the logits."""

    h_pre: float
    h_post: float
    h_res: float | None
    """None if H_res is the identity."""


def measure_reach(sites: Sequence[CheckpointLayer], streams: int) -> Reach | None:
    """Return what a typical token adds to the logits of H_pre, H_post and H_res; None if projections cannot be read."""
    if not _are_readable(sites):
        return None
    with np.errstate(invalid="ignore", over="ignore"):  # nan and inf propagate
        squares_LP = np.array([list(_measure_parts(site, streams)) for site in sites])
    h_pre, h_post, *h_res = np.sqrt(squares_LP.mean(0)).tolist()
    return Reach(h_pre, h_post, h_res[0] if h_res else None)


def measure_row_sizes(sites: Sequence[CheckpointLayer], streams: int) -> dict[str, np.ndarray] | None:
    """Return what a typical token adds to each raw coefficient: h_pre and h_post (L, n), h_res (L, n, n) as applied.

    None if there are no projections, or if they are quantised. Without h_res if H_res is the identity.
    """
    if not _are_readable(sites):
        return None
    n = streams
    with np.errstate(invalid="ignore", over="ignore"):
        sizes_LR = np.sqrt([list(_measure_rows(site, n)) for site in sites])
    parts = {"h_pre": sizes_LR[:, :n], "h_post": sizes_LR[:, n : 2 * n]}
    matrix = sizes_LR[:, 2 * n :]
    # The projected matrix is applied transposed.
    return parts | ({"h_res": matrix.reshape(-1, n, n).swapaxes(1, 2)} if matrix.shape[1] else {})


def _are_readable(sites: Sequence[CheckpointLayer]) -> bool:
    return all(PROJECTION in site.parts and site.parts[PROJECTION].dtype in READABLE for site in sites)


def _measure_rows(site: CheckpointLayer, n: int) -> Iterator[float]:
    """Yield s^2 |w|^2 for every row w of a layer's projection."""
    projection, scales = site.parts[PROJECTION], read_values(site.parts[SCALE])
    for row in range(projection.shape[0]):
        yield float(scales[min(row // n, 2)] ** 2 * _sum_squares(projection, row, row + 1))


def _measure_parts(site: CheckpointLayer, n: int) -> Iterator[float]:
    """Yield the mean of s^2 |w|^2 over the rows w of a projection: for H_pre, for H_post, and for H_res if any."""
    projection, scales = site.parts[PROJECTION], read_values(site.parts[SCALE])
    first = 0
    for scale, rows in zip(scales, (n, n, n * n), strict=False):
        yield float(scale**2 * _sum_squares(projection, first, first + rows) / rows)
        first += rows


def _sum_squares(entry: TensorLocation, first: int, last: int) -> float:
    """Return the sum of squares over rows `first` to `last`, exclusive."""
    width = entry.shape[1]
    return float(sum(chunk @ chunk for chunk in read_chunks(entry, first * width, last * width)))
