"""KromHC (arXiv 2601.21579): H_res as a Kronecker product of 2 x 2 doubly stochastic matrices; n a power of two."""

from typing import TYPE_CHECKING

import numpy as np

from mhc_core.family import Array, Family, Look, MapSettings, PageMap, ResidualMap, Round, compute_sigmoid

if TYPE_CHECKING:
    import torch


class KroneckerMap(ResidualMap):
    """The map from log2 n logits t to a product of factors [[p, 1 - p], [1 - p, p]], p = sigmoid(t): exactly doubly
    stochastic.
    """

    def start(self, certainty: float) -> list[float]:
        return [certainty] * count_factors(self.n)

    def __call__(self, raw: "torch.Tensor") -> "torch.Tensor":
        """Return H_res (..., n, n) of logits: the Kronecker product of doubly stochastic 2 x 2 factors."""
        import torch

        p = torch.sigmoid(raw)
        # 1 - sigmoid(t) would be inaccurate near 0. With sigmoid(-t), sums still round to 1.
        pairs = torch.stack([p, torch.sigmoid(-raw)], dim=-1)
        factors = torch.stack([pairs, pairs.flip(-1)], dim=-2)
        product = torch.ones(*raw.shape[:-1], 1, 1, dtype=raw.dtype, device=raw.device)
        for factor in factors.unbind(-3):
            size = 2 * product.shape[-1]
            product = torch.einsum("...ij,...kl->...ikjl", product, factor).reshape(*raw.shape[:-1], size, size)
        return product


def multiply_factors(logits: Array, settings: MapSettings, to_type: Round) -> Array:
    """Compute H_res in numpy: the Kronecker product of the 2 x 2 factors, from first to last."""
    t, lead = to_type(logits), logits.shape[:-1]
    product = np.ones((*lead, 1, 1))
    for k in range(t.shape[-1]):
        p, q = to_type(compute_sigmoid(t[..., k])), to_type(compute_sigmoid(-t[..., k]))
        pair = np.stack([np.stack([p, q], -1), np.stack([q, p], -1)], -2)
        size = 2 * product.shape[-1]
        product = to_type(product[..., :, None, :, None] * pair[..., None, :, None, :]).reshape(*lead, size, size)
    return product


def count_factors(n: int) -> int:
    """Return the number of 2 x 2 factors whose Kronecker product is n x n. Each has one logit."""
    return n.bit_length() - 1


def require_power_of_two(n: int, width: int) -> str | None:
    """Return what the number of streams must be, as text for an error; None if it is a power of two."""
    return "a power of two, because kromhc takes Kronecker products of small matrices" if n & (n - 1) else None


FAMILY = Family(
    name="KromHC",
    summary="Kronecker products",
    year=2026,
    place=5,
    look=Look("#9c58aa", "#e5a4ef", "5px,5px", "triangle-down"),
    logits=count_factors,
    rule=require_power_of_two,
    map=KroneckerMap,
    map_reference=multiply_factors,
    page_map=PageMap("kronecker", layers=128),
    paper="arXiv 2601.21579",
    parent="mhc",
    keeps="exact sums, with log2 n numbers in a layer",
    gives_up="most doubly stochastic matrices; n is a power of two",
)
