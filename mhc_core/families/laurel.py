"""LAuReL (arXiv 2411.07501): learned weights of the branch and of the skip path, and a low-rank map on the skip path.

The definition follows public code: wdlctc/hyper-connection-factory, `hcfactory/connections/laurel.py`, its form rw_lr.
The paper was not read. According to that code, the paper does not say how the weights are bounded.
"""

from typing import Any

import numpy as np

from mhc_core.family import Array, Family, Look, OwnCosts, Use


def compute_mixing(own: dict[str, Array], x_NnC: Array | None) -> tuple[Array, Array, Array]:
    """Compute LAuReL's coefficients in numpy: H_pre = 1, H_post = a and H_res = b, (a, b) = 2 softmax(w)."""
    first, second = own["weights"]
    a = 2 / (1 + np.exp(second - first))
    return np.ones(1), np.array([a]), np.array([[2 - a]])


def pass_features(own: dict[str, Array], x_nNC: Array) -> Array:
    """Compute LAuReL's x + x A B in numpy, the term that H_res multiplies."""
    found: Array = x_nNC + (x_nNC @ own["down"]) @ own["up"]
    return found


class Costs(OwnCosts):
    """Costs of LAuReL: each layer has two weights and two products of rank R."""

    calls = 8

    def count_parameters(self, spec: Any) -> int:
        return int(spec.depth * (2 + 2 * spec.width * spec.connection.gate_rank))

    def count_operations(self, spec: Any) -> float:
        return float(spec.width * (4 * spec.connection.gate_rank + 4))

    def count_moved(self, spec: Any) -> float:
        return float(22 * spec.width + 10 * spec.connection.gate_rank)

    def count_kept(self, spec: Any) -> float:
        return float(spec.width + 2 * spec.connection.gate_rank)


FAMILY = Family(
    name="LAuReL",
    summary="learned weights of branch and skip path with a map of low rank",
    year=2024,
    place=22,
    look=Look("#ff3155", "#ffca85", "1px,3px,6px,3px", "diamond-wide"),
    streams="one",
    rows="free",
    columns="free",
    norm_bounded=False,
    has_rank=True,
    by_token=False,
    drawn="weights",
    build="mhc_core.layers.laurel:build_laurel",
    mixing_reference=compute_mixing,
    pass_reference=pass_features,
    costs=Costs(),
    paper="arXiv 2411.07501",
    parent="residual",
    keeps="one state, which passes every layer by",
    gives_up="a gain of 1: weights of branch and skip path, which sum to 2, multiply over depth",
    uses=(Use("Gemma 3n, with fixed weights and a norm", "transformers, models/gemma3n", "2025-06-26"),),
)
