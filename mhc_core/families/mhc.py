"""Manifold-Constrained Hyper-Connections (mHC, arXiv 2512.24880, Eq. 8-9): H_res by Sinkhorn-Knopp."""

from dataclasses import replace

import numpy as np

from mhc_core.family import Array, Family, Look, MapSettings, PageMap, Round, Use


def compute_sinkhorn(logits: Array, settings: MapSettings, to_type: Round) -> Array:
    """Compute H_res in numpy by Sinkhorn's rounds: in logarithms, or, with eps, in the way of DeepSeek-V4."""
    n, rounds, eps = settings.streams, settings.rounds, settings.eps
    t = to_type(logits).reshape(*logits.shape[:-1], n, n)
    if rounds == 0:
        return to_type(np.exp(t))
    if eps:
        matrix = to_type(to_type(np.exp(_log_softmax(t, -2))) + eps)
        for turn in range(2 * rounds - 1):
            axis = -1 if turn % 2 == 0 else -2
            matrix = to_type(matrix / to_type(to_type(matrix.sum(axis, keepdims=True)) + eps))
        return matrix
    for turn in range(2 * rounds - 1):
        t = to_type(_log_softmax(t, -2 if turn % 2 == 0 else -1))
    return to_type(np.exp(_log_softmax(t, -1)))


def _log_softmax(t: Array, axis: int) -> Array:
    """Return the logarithm of the softmax of t over an axis."""
    moved = t - t.max(axis, keepdims=True)
    found: Array = moved - np.log(np.exp(moved).sum(axis, keepdims=True))
    return found


def solve_duals(logits: Array, settings: MapSettings, to_type: Round) -> Array:
    """Compute the limit of Sinkhorn's rounds in numpy: 100 rounds, then Newton's method on row and column factors."""
    n = settings.streams
    t = to_type(logits).reshape(*logits.shape[:-1], n, n)
    for _ in range(100):
        t = _log_softmax(_log_softmax(t, -2), -1)
    places = np.arange(n)
    for _ in range(40):
        matrix = np.exp(t)
        system = np.zeros((*t.shape[:-2], 2 * n, 2 * n))
        system[..., places, places], system[..., n + places, n + places] = matrix.sum(-1), matrix.sum(-2)
        system[..., :n, n:], system[..., n:, :n] = matrix, np.swapaxes(matrix, -1, -2)
        missing = 1 - np.concatenate([matrix.sum(-1), matrix.sum(-2)], -1)
        step = np.clip((np.linalg.pinv(system, rcond=1e-14) @ missing[..., None])[..., 0], -1, 1)
        moved = t + step[..., :n, None] + step[..., None, n:]
        is_better = _miss_sums(moved) < _miss_sums(t)
        t = np.where(is_better[..., None, None], moved, t)
    return to_type(np.exp(t))


def _miss_sums(t: Array) -> Array:
    """Return the sum over rows and columns of |sum - 1| of exp(t), for each matrix."""
    matrix = np.exp(t)
    found: Array = np.abs(matrix.sum(-1) - 1).sum(-1) + np.abs(matrix.sum(-2) - 1).sum(-1)
    return found


ROUNDED = Family(
    name="mHC",
    summary="Manifold-Constrained Hyper-Connections by Sinkhorn",
    year=2025,
    place=3,
    look=Look("#0f66b0", "#5cb0f0", "solid", "diamond", 2.25),
    rows="rounds",
    columns="limit",
    norm_bounded=False,  # only in the limit
    iterates=True,
    operations=lambda n, rounds: 4 * n * n * rounds,
    map="mhc_core.layers.sinkhorn:SinkhornMap",
    map_reference=compute_sinkhorn,
    page_map=PageMap("sinkhorn", layers=128),
    paper="arXiv 2512.24880",
    parent="hc",
    keeps="mixing between streams, with rows that sum to 1",
    gives_up="exact column sums: a finite number of Sinkhorn rounds leaves an error",
    uses=(
        Use("DeepSeek-V4", "transformers, models/deepseek_v4", "2026-05-02"),
        Use("GLM-5-next", "transformers, models/glm5_next", "2026-07-08"),
        Use("openPangu-2.0-Flash", "huggingface/transformers, models/openpangu_v2"),
    ),
)

# The family with the limit of Sinkhorn's rounds instead of a finite number of rounds.
SOLVED = replace(
    ROUNDED,
    rows="exact",
    columns="exact",
    norm_bounded=True,
    iterates=False,
    operations=lambda n, rounds: 6 * (2 * n**3 / 3 + 30 * n * n),  # for six Newton steps
    map_calls=400,  # the small systems of equations are solved one by one
    map="mhc_core.layers.newton:NewtonMap",
    map_reference=solve_duals,
    page_map=None,
)

FAMILY = replace(ROUNDED, solved=SOLVED)
