"""Effective skip connections: the weight of each earlier output in what a later layer reads. numpy, float64.

Shapes: L layers, n streams. A source is a vector over streams (n): H_post of the layer that writes, or ones for the
embedding. All sources are multiplied by H_res from layer to layer, as columns of one array, in the form
scaled * 2^exponent, so that no product overflows.
"""

from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import cast

import numpy as np

from mhc_core.metric import OURS, Metric

METRICS = (
    Metric("unfolded", "Effective skip connections", "", "linear", "LJ", "mixing",
           "Weight of every earlier output in what a layer reads: column 0 is the embedding, column j the output of "
           "layer j, counted from 1. Through mixing alone: branches and post-norms are left out. Of matrices averaged "
           "over samples where mixing is dynamic. Where layers read earlier outputs by attention over depth, their "
           "weights themselves, averaged over samples and heads.",
           "w[k,j] = H_pre_k H_res_{k-1} ... H_res_{j+1} H_post_j, H_post_0 = 1", "HC, arXiv 2409.19606, Eq. 20",
           "matrices", precision=(1e-5, 1e-5), prefix=True),
    Metric("kernel_rank", "Streams in use", "streams", "linear", "L", "mixing",
           "How many streams the outputs up to this layer use on their way to later reads: the effective rank of the "
           "weights with which later layers, and the mean of the streams at the end, read the embedding and these "
           "outputs. It does not depend on the basis in which streams are written. Through mixing alone, of matrices "
           "averaged over samples where mixing is dynamic.",
           "exp(-sum_i p[i] ln p[i]), p[i] = s[i] / sum_j s[j], s the singular values of w[k,j], k > l, j <= l", OURS,
           precision=(1e-5, 1e-5)),
    Metric("kernel_shares", "Hankel singular values", "share", "linear", "Ln", "mixing",
           "The singular values of the same weights, each over their sum: one for each stream that carries outputs up "
           "to this layer to later layers. They do not depend on the basis in which streams are written.",
           "p[i] = s[i] / sum_j s[j], s the singular values of w[k,j], k > l, j <= l", OURS, precision=(1e-5, 1e-5)),
)  # fmt: skip


def unfold(h_pre_Ln: np.ndarray, h_post_Ln: np.ndarray, h_res_Lnn: np.ndarray) -> np.ndarray:
    """Return the effective skip connections, (L, L + 1). Rows are layers that read, columns the embedding and outputs.

    Layer k, counted from 0, reads the embedding and the outputs before it: columns 0 to k. The other columns are 0; the
    last one is 0 in all rows. A weight beyond the range of float64 is inf.
    """
    layers, n = h_pre_Ln.shape
    # The embedding is copied to all streams.
    sources_Ln = np.concatenate([np.ones((1, n)), h_post_Ln[:-1]])
    weights = np.zeros((layers, layers + 1))
    np.fill_diagonal(weights, (h_pre_Ln * sources_Ln).sum(1))  # sources that have passed no H_res yet
    for layer, (scaled, exponents) in enumerate(_travel(sources_Ln[:-1], h_res_Lnn), start=1):
        with np.errstate(over="ignore", under="ignore", invalid="ignore"):
            weights[layer, :layer] = np.ldexp(h_pre_Ln[layer] @ scaled, exponents)
    return weights


def measure_kernel_shares(h_pre_Ln: np.ndarray, h_post_Ln: np.ndarray, h_res_Lnn: np.ndarray) -> np.ndarray:
    """Measure the singular values of the effective skip connections across each layer over their sum, largest first.

    Return (L, n); nan if mixing is not finite, and in layers where all are 0.

    The weights of earlier outputs j in later reads k are R S^t. S (j, n) are the contributions of the outputs to the
    streams after layer l, and R (k, n) the weights of these streams in later reads. The singular values of R S^t are
    the Hankel singular values of a linear system that varies with depth; at most n of them are not 0. R and S are
    replaced by the triangular factors of their QR decompositions, so that matrices do not grow with the depth.
    """
    layers, n = h_pre_Ln.shape
    if not all(np.isfinite(part).all() for part in (h_pre_Ln, h_post_Ln, h_res_Lnn)):
        return np.full((layers, n), np.nan)
    # The embedding is copied to all streams, and the output is their mean. Both directions are computed together,
    # because calls on small matrices are mostly overhead. The read of the first layer is not needed.
    ends = np.stack([np.ones((1, n)), np.full((1, n), 1 / n)])
    added = np.stack([h_post_Ln, h_pre_Ln[::-1]], 1)
    found = _collect_rows(ends, added, (h_res_Lnn.transpose(0, 2, 1), h_res_Lnn[::-1]))
    outputs, reads = zip(*found, strict=True)
    kernels = [r @ s.T for r, s in zip((*reads[-2::-1], ends[1]), outputs, strict=True)]
    return np.concatenate([_find_shares(np.stack(list(same)), n) for _, same in groupby(kernels, np.shape)])


def count_streams(shares_Ln: np.ndarray) -> np.ndarray:
    """Return exp of the entropy of shares, (L): the effective rank of Roy & Vetterli 2007; nan if they are unknown."""
    kept = (share[~(share <= 0)] for share in shares_Ln)
    return np.array([np.exp(-(share * np.log(share)).sum()) for share in kept])


def _collect_rows(
    first_W1n: np.ndarray, added_LWn: np.ndarray, passed_WLnn: Sequence[np.ndarray]
) -> Iterator[np.ndarray]:
    """Yield after each layer R of the QR factorisation of all rows so far, (W, K, n), for W ways through the stack.

    The ways are forward and backward. A layer multiplies the rows by its matrix, then adds one row. R has the singular
    values of the rows, scaled by a power of two against overflow.
    """
    rows, exponent = first_W1n, np.zeros((len(first_W1n), 1, 1), dtype=np.int64)
    for added_Wn, *matrices_Wnn in zip(added_LWn, *passed_WLnn, strict=True):
        passed = [way @ matrix_nn for way, matrix_nn in zip(rows, matrices_Wnn, strict=True)]
        grown = np.concatenate([passed, np.ldexp(added_Wn[:, None], -exponent)], 1)
        rows = cast(np.ndarray, np.linalg.qr(grown, mode="r"))  # numpy states the type with Q
        shift = np.frexp(np.abs(rows).max((1, 2), keepdims=True))[1]
        rows, exponent = np.ldexp(rows, -shift), exponent + shift
        yield rows


def _find_shares(matrices_Kab: np.ndarray, n: int) -> np.ndarray:
    """Return the singular values of matrices divided by their sums, padded with 0 to (K, n); nan if all are 0."""
    values = np.linalg.svd(matrices_Kab, compute_uv=False)
    filled = np.zeros((len(values), n))
    filled[:, : values.shape[1]] = values
    with np.errstate(invalid="ignore"):
        return filled / values.sum(1, keepdims=True)


def _travel(sources_Ln: np.ndarray, h_res_Lnn: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield after each layer l the sources 0 to l, multiplied by all H_res so far: (n, l + 1) scaled, and their
    exponents (l + 1).

    Source l enters before layer l, so H_res of layer l is the first that multiplies it.
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
