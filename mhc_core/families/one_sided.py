"""osHC: only one marginal of H_res is constrained. Only the abstract of its paper was read.

Only this constraint comes from the paper. The softmax over each row is our choice.
"""

from typing import TYPE_CHECKING

import numpy as np

from mhc_core.family import Array, Family, Look, MapSettings, PageMap, ResidualMap, Round

if TYPE_CHECKING:
    import torch


class RowSoftmaxMap(ResidualMap):
    """The map from n^2 logits to H_res by a softmax over each row: entries are at least 0, and rows sum to 1.

    Products of such matrices have the same properties. Rows have a Euclidean norm of at most 1, so the spectral norm is
    at most sqrt(n). It is sqrt(n) if all rows read the same stream.
    """

    def start(self, certainty: float) -> list[float]:
        return [0.0 if row == column else -certainty for row in range(self.n) for column in range(self.n)]

    def __call__(self, raw: "torch.Tensor") -> "torch.Tensor":
        """Return H_res (..., n, n) of logits: the softmax of each row."""
        import torch

        # In float64, because no later step corrects column sums: rounding errors would add up in the backward gain.
        return torch.softmax(raw.double().unflatten(-1, (self.n, self.n)), dim=-1).to(raw.dtype)


def divide_rows(logits: Array, settings: MapSettings, to_type: Round) -> Array:
    """Compute H_res in numpy: exp(t) of each row, divided by its sum."""
    n = settings.streams
    t = to_type(logits).reshape(*logits.shape[:-1], n, n)
    sizes = np.exp(t - t.max(-1, keepdims=True))
    return to_type(sizes / sizes.sum(-1, keepdims=True))


FAMILY = Family(
    name="osHC",
    summary="rows that sum to 1, by a softmax",
    year=2026,
    place=12,
    look=Look("#ff470a", "#ff850a", "6px,2px,6px,5px", "diamond-tall"),
    columns="free",
    norm_bounded=False,
    operations=lambda n, rounds: 4 * n * n,
    map=RowSoftmaxMap,
    map_reference=divide_rows,
    page_map=PageMap("row_softmax"),
    parent="mhc",
    keeps="rows that sum to 1, by one softmax",
    gives_up="column sums: the backward gain can reach n",
)
