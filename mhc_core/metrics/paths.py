"""What enters the streams at one depth, followed to every later depth. numpy, float64.

Shapes: L layers, n streams. A source is a vector over streams (n): H_post of the layer that writes, or 1 everywhere.
Column k of the travelling array is the source that entered k-th, as scaled * 2^exponent, so that no product overflows.
"""

from collections.abc import Iterator

import numpy as np

from mhc_core.metric import Metric

METRICS = (
    Metric("unfolded", "Unfolded connections", "", "linear", "LJ", "mixing",
           "Weight of every earlier output in what a layer reads: column 0 is the embedding, column j the output of "
           "layer j, counted from 1. Through mixing alone: branches and post-norms are left out. Of matrices averaged "
           "over samples where mixing is dynamic. Where layers read earlier outputs by attention over depth, their "
           "weights themselves, averaged over samples and heads.",
           "w[k,j] = H_pre_k H_res_{k-1} ... H_res_{j+1} H_post_j, H_post_0 = 1", "HC, arXiv 2409.19606, Eq. 20",
           "matrices", precision=(1e-5, 1e-5), prefix=True),
)  # fmt: skip


def unfold(h_pre_Ln: np.ndarray, h_post_Ln: np.ndarray, h_res_Lnn: np.ndarray) -> np.ndarray:
    """Return unfolded connections, (L, L + 1): row k is the layer that reads, column j what it reads.

    Layer k, counted from 0, reads the embedding and the layers before it: columns 0 to k. The others are zero, the
    last one in every row. A weight beyond float64 is inf.
    """
    layers, n = h_pre_Ln.shape
    # The embedding is copied to all streams.
    sources_Ln = np.concatenate([np.ones((1, n)), h_post_Ln[:-1]])
    weights = np.zeros((layers, layers + 1))
    np.fill_diagonal(weights, (h_pre_Ln * sources_Ln).sum(1))  # what has passed no H_res yet
    for layer, (scaled, exponents) in enumerate(_travel(sources_Ln[:-1], h_res_Lnn), start=1):
        with np.errstate(over="ignore", under="ignore", invalid="ignore"):
            weights[layer, :layer] = np.ldexp(h_pre_Ln[layer] @ scaled, exponents)
    return weights


def _travel(sources_Ln: np.ndarray, h_res_Lnn: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Return after each layer l: what the sources 0 to l have become, (n, l + 1) scaled, and their exponents (l + 1).

    Source l enters before layer l, whose H_res is the first to act on it.
    """
    layers, n = sources_Ln.shape
    scaled, exponents = np.empty((n, layers)), np.zeros(layers, dtype=np.int64)
    for layer in range(layers):
        scaled[:, layer] = sources_Ln[layer]
        entered = slice(0, layer + 1)
        passed = h_res_Lnn[layer] @ scaled[:, entered]
        # Powers of two rescale without rounding.
        shift = np.frexp(np.abs(passed).max(0))[1]
        scaled[:, entered] = np.ldexp(passed, -shift)
        exponents[entered] += shift
        yield scaled[:, entered], exponents[entered]
