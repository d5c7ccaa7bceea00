"""What enters the streams at one depth, followed to every later depth. numpy, float64.

Shapes: L layers, n streams. A source is a vector over streams (n): H_post of the layer that writes, or 1 everywhere.
Column k of the travelling array is the source that entered k-th, as scaled * 2^exponent, so that no product overflows.
"""

from collections.abc import Iterator

import numpy as np

from mhc_core.metric import OURS, Metric

METRICS = (
    Metric("unfolded", "Unfolded connections", "", "linear", "LJ", "mixing",
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


def measure_kernel_shares(h_pre_Ln: np.ndarray, h_post_Ln: np.ndarray, h_res_Lnn: np.ndarray) -> np.ndarray:
    """Measure the singular values of the unfolded connections that pass each layer over their sum, the largest first.

    Returns (L, n); nan if mixing is not finite, and where all are 0.

    The weights with which later reads k take earlier outputs j are R S^t: S (j, n) is what the outputs have become in
    the streams that leave layer l, and R (k, n) how later reads weigh these streams. Their singular values are the
    Hankel singular values of a linear system that varies with depth; at most n of them are not 0. R and S are replaced
    by the triangles of their QR decompositions, so that no matrix grows with the depth.
    """
    layers, n = h_pre_Ln.shape
    if not all(np.isfinite(part).all() for part in (h_pre_Ln, h_post_Ln, h_res_Lnn)):
        return np.full((layers, n), np.nan)
    # The embedding is copied to all streams, and the output is their mean.
    outputs = [*_collect_rows(np.ones((1, n)), h_post_Ln, h_res_Lnn.transpose(0, 2, 1))]
    last = np.full((1, n), 1 / n)
    reads = [last, *_collect_rows(last, h_pre_Ln[:0:-1], h_res_Lnn[:0:-1])]
    return np.array([_find_shares(r @ s.T, n) for r, s in zip(reversed(reads), outputs, strict=True)])


def count_streams(shares_Ln: np.ndarray) -> np.ndarray:
    """Compute exp of the entropy of shares, (L), the effective rank of Roy & Vetterli 2007; nan if they are unknown."""
    kept = (share[~(share <= 0)] for share in shares_Ln)
    return np.array([np.exp(-(share * np.log(share)).sum()) for share in kept])


def _collect_rows(first_1n: np.ndarray, added_Ln: np.ndarray, passed_Lnn: np.ndarray) -> Iterator[np.ndarray]:
    """Yield after each layer the triangle of all rows so far, up to a common factor.

    A layer multiplies the rows by its matrix, then adds one row.
    """
    rows, exponent = first_1n, 0
    for added_n, matrix_nn in zip(added_Ln, passed_Lnn, strict=True):
        rows = np.linalg.qr(np.vstack([rows @ matrix_nn, np.ldexp(added_n, -exponent)])).R
        shift = int(np.frexp(np.abs(rows).max())[1])
        rows, exponent = np.ldexp(rows, -shift), exponent + shift
        yield rows


def _find_shares(matrix: np.ndarray, n: int) -> np.ndarray:
    """Find the singular values of a matrix over their sum, filled up with 0 to n; nan where all are 0."""
    values = np.linalg.svd(matrix, compute_uv=False)
    filled = np.append(values, np.zeros(n - len(values)))
    return filled / values.sum() if values.any() else np.full(n, np.nan)


def _travel(sources_Ln: np.ndarray, h_res_Lnn: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield after each layer l what the sources 0 to l have become, (n, l + 1) scaled, and their exponents (l + 1).

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
