"""Every metric once more, from its definition, in plain numpy float64 loops; it shares no code with mhc_core.metrics.

Shapes: state x (n, S, C) with S samples; matrices (L, n, n).
"""

import numpy as np

Array = np.ndarray


def rms(x: Array) -> float:
    return float(np.sqrt(np.mean(np.asarray(x, dtype=np.float64) ** 2)))


def cosine(a: Array, b: Array) -> float:
    return float(a @ b / (np.sqrt(a @ a) * np.sqrt(b @ b)))


def cosines(u: Array, v: Array) -> Array:
    """Cosine of every sample of u with the same sample of v."""
    return np.array([cosine(a, b) for a, b in zip(u, v, strict=True)])


def quantile(values: Array, level: float) -> float:
    """Linear between order statistics: the value at place level * (count - 1)."""
    ordered = sorted(float(value) for value in values)
    place = level * (len(ordered) - 1)
    low = int(place)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (place - low) * (ordered[high] - ordered[low])


def token_cosine(m: Array) -> float:
    """Mean cosine over all pairs of different samples."""
    count = len(m)
    return float(np.mean([cosine(m[s], m[t]) for s in range(count) for t in range(count) if s != t]))


def stream_cosine(x: Array) -> float:
    """Mean over samples of the mean cosine over all pairs of different streams."""
    n = len(x)
    pairs = [(i, j) for i in range(n) for j in range(n) if i != j]
    return float(np.mean([cosine(x[i, t], x[j, t]) for i, j in pairs for t in range(x.shape[1])]))


def effective_rank(m: Array) -> float:
    singular = np.linalg.svd(m, compute_uv=False)
    share = singular / singular.sum()
    share = share[share > 1e-14]
    return float(np.exp(-(share * np.log(share)).sum()))


def hsic(k: Array, q: Array) -> float:
    """HSIC_1 of two Gram matrices (Song et al. 2012), the three sums written out."""
    count = len(k)
    k, q = k - np.diag(np.diag(k)), q - np.diag(np.diag(q))
    trace = sum(k[s] @ q[:, s] for s in range(count))
    totals = k.sum() * q.sum() / ((count - 1) * (count - 2))
    mixed = 2 / (count - 2) * sum(k[:, s].sum() * q[s].sum() for s in range(count))
    return float((trace + totals - mixed) / (count * (count - 3)))


def unbiased_cka(a: Array, b: Array) -> float:
    k, q = a @ a.T, b @ b.T
    return hsic(k, q) / float(np.sqrt(hsic(k, k) * hsic(q, q)))


def deviation(matrix: Array) -> float:
    """How far a matrix is from doubly stochastic."""
    return float(max(abs(matrix.sum(1) - 1).max(), abs(matrix.sum(0) - 1).max(), -matrix.min()))


def product(matrices: Array, first: int, last: int) -> Array:
    """H_last ... H_first."""
    total = np.eye(matrices.shape[1])
    for layer in range(first, last + 1):
        total = matrices[layer] @ total
    return total


def amax_forward(matrix: Array) -> float:
    """Largest magnitude of a signed row sum (mHC's Amax gain)."""
    return float(max(abs(sum(row)) for row in matrix))


def amax_backward(matrix: Array) -> float:
    return amax_forward(matrix.T)
