"""osHC: only one marginal of H_res is constrained. Of its paper, the abstract alone was read.

Nothing but that constraint is taken from it. The softmax over each row is ours.
"""

from typing import TYPE_CHECKING

import numpy as np

from mhc_core.family import Array, Family, Look, MapSettings, PageMap, ResidualMap, Round

if TYPE_CHECKING:
    import torch


class RowSoftmaxMap(ResidualMap):
    """n^2 logits, a softmax over each row: entries of at least 0, rows that sum to 1, columns that need not.

    A product of such matrices is one of them. Its rows have a Euclidean norm of at most 1, so its spectral norm is at
    most sqrt(n). Where all rows read one stream, it is sqrt(n).
    """

    def start(self, certainty: float) -> list[float]:
        return [0.0 if row == column else -certainty for row in range(self.n) for column in range(self.n)]

    def __call__(self, raw: "torch.Tensor") -> "torch.Tensor":
        """Return H_res (..., n, n) of logits: the softmax of each row."""
        import torch

        # In float64: nothing corrects the columns, so that rounding would add up in the backward gain.
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
