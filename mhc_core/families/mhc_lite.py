"""mHC-lite (arXiv 2601.05732): H_res is a convex combination of all n! permutations, so exactly doubly stochastic."""

import math
from itertools import permutations
from typing import TYPE_CHECKING

import numpy as np

from mhc_core.family import Array, Family, Look, MapSettings, PageMap, ResidualMap, Round

if TYPE_CHECKING:
    import torch


class PermutationMap(ResidualMap):
    """The map from n! logits to a mean of permutation matrices, weighted by a softmax.

    Every doubly stochastic matrix is such a mean (Birkhoff-von Neumann).
    """

    def __init__(self, settings: MapSettings) -> None:
        import torch

        super().__init__(settings)
        # The identity is the first permutation.
        self.permutations_Knn = torch.eye(self.n)[torch.tensor(list(permutations(range(self.n))))]

    def start(self, certainty: float) -> list[float]:
        return [0.0] + [-certainty] * (len(self.permutations_Knn) - 1)

    def __call__(self, raw: "torch.Tensor") -> "torch.Tensor":
        """Return H_res (..., n, n) of logits: the mean of all permutation matrices, weighted by softmax(logits)."""
        import torch

        # Kept on the device of the logits, to avoid a transfer in every layer.
        self.permutations_Knn = self.permutations_Knn.to(raw)
        return torch.tensordot(torch.softmax(raw, dim=-1), self.permutations_Knn, dims=1)


def combine_permutations(logits: Array, settings: MapSettings, to_type: Round) -> Array:
    """Compute H_res in numpy: the mean of all permutation matrices, weighted by softmax(t)."""
    n, t = settings.streams, to_type(logits)
    orders = [np.eye(n)[list(order)] for order in permutations(range(n))]
    shares = np.exp(t - t.max(-1, keepdims=True))
    shares = to_type(shares / shares.sum(-1, keepdims=True))
    return to_type(np.einsum("...k,kij->...ij", shares, np.array(orders)))


def require_few(n: int, width: int) -> str | None:
    """Return what the number of streams must be, as text for an error; None if it is at most 5."""
    return "at most 5: mhc_lite combines all n! permutations" if n > 5 else None


FAMILY = Family(
    name="mHC-lite",
    summary="a combination of permutations",
    year=2026,
    place=4,
    look=Look("#29815d", "#77dfb3", "9px,3px,2px,3px", "triangle-up"),
    logits=lambda n: math.factorial(min(n, 5)),
    rule=require_few,
    map=PermutationMap,
    map_reference=combine_permutations,
    page_map=PageMap("permutations", layers=0),  # each machine adds the permutations in another order
    paper="arXiv 2601.05732",
    parent="mhc",
    keeps="all doubly stochastic matrices, with exact sums",
    gives_up="many streams: a layer has n! weights",
)
