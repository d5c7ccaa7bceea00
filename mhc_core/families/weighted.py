"""Weighted residual: before each block, a learned weighted sum of the state and the embedding replaces the state.

x <- a x + b x_0, as in nanochat (karpathy/nanochat, `nanochat/gpt.py`: `resid_lambdas` and `x0_lambdas`).
"""

import numpy as np

from mhc_core.family import Array, Family, Look, Use


def compute_mixing(own: dict[str, Array], x_NnC: Array | None) -> tuple[Array, Array, Array]:
    """Return H_pre = [a, b], H_post = [1, 0], H_res = [[a, b], [0, 1]] in numpy. Stream 1 is the embedding."""
    a, b = own["weights"]
    return np.array([a, b]), np.array([1.0, 0.0]), np.array([[a, b], [0.0, 1.0]])


FAMILY = Family(
    name="Weighted",
    summary="a weighted sum of the state and the embedding",
    place=19,
    look=Look("#0c0c3c", "#ffe46c", "11px,2px,3px,2px,3px,2px", "triangle-right"),
    streams="source",
    rows="free",
    columns="free",
    norm_bounded=False,
    signed=True,
    by_token=False,
    by_depth=True,
    drawn="weights",
    logits=lambda n: 2,
    build="mhc_core.layers.weighted:build_weighted",
    mixing_reference=compute_mixing,
    parent="residual",
    keeps="one state, to which every layer adds",
    gives_up="a gain of 1: weights before every block act on the state and add the embedding again",
    uses=(Use("nanochat", "karpathy/nanochat, nanochat/gpt.py"),),
)
