"""TBP-mHC (arXiv 2605.21724, as in the code of alyubinin/tbp-mHC): H_res is filled entry by entry, so that all rows and
columns sum to 1.
"""

import math
from typing import TYPE_CHECKING

import numpy as np

from mhc_core.family import Array, Family, Look, MapSettings, PageMap, ResidualMap, Round, compute_sigmoid

if TYPE_CHECKING:
    import torch

UNIFORM_SHARE = 1 / (1 + math.exp(8))  # d. The published code learns its logit, which starts at -8; here it stays -8


class TransportMap(ResidualMap):
    """The map from (n - 1)^2 logits to a doubly stochastic H_res. Each logit sets one entry within its feasible range.

    X is filled row by row: X_ij = L + (U - L) sigmoid(t_ij). The remainder of a row or column is 1 minus its entries so
    far. U is the smaller one of the remainders of row i and column j. L is the part of the row's remainder that exceeds
    the remainders of the later columns. Columns set no lower limit, because each row below needs a sum of 1, which is
    never less than the remainder of a column. The last row and column are the remainders.
    H_res = (1 - d) X^t + d / n, d = sigmoid(-8). Rows of X index the input, as in the published code.

    Computed in float64, because remainders are differences of numbers near 1.
    """

    def start(self, certainty: float) -> list[float]:
        return find_logits(self.n, certainty)

    def __call__(self, raw: "torch.Tensor") -> "torch.Tensor":
        """Return H_res (..., n, n) of logits: doubly stochastic, filled entry by entry."""
        import torch

        m = self.n - 1
        shares = torch.sigmoid(raw.double()).unflatten(-1, (m, m)) if m else raw.double()
        one = torch.ones(raw.shape[:-1], dtype=torch.float64, device=raw.device)
        left, columns = [one] * self.n, []  # remainders of the columns of X; its rows so far, the columns of H_res
        for row in range(m):
            own, entries = one, []
            for column in range(m):
                least = torch.relu(own - sum(left[column + 2 :], left[column + 1]))
                most = torch.minimum(own, left[column])
                entries.append(least + (most - least) * shares[..., row, column])
                own = own - entries[-1]
            entries.append(own)
            left = [old - new for old, new in zip(left, entries, strict=True)]
            columns.append(torch.stack(entries, dim=-1))
        filled = torch.stack([*columns, torch.stack(left, dim=-1)], dim=-1)
        return ((1 - UNIFORM_SHARE) * filled + UNIFORM_SHARE / self.n).to(raw.dtype)


def find_logits(n: int, certainty: float) -> list[float]:
    """Return the logits of the matrix X with diagonal e^certainty / (e^certainty + n - 1) and equal other entries.

    It is uniform for a certainty of 0.
    """
    other = 1 / (math.exp(certainty) + n - 1)
    left, logits = [1.0] * n, []
    for row in range(n - 1):
        own = 1.0
        for column in range(n - 1):
            entry = 1 - (n - 1) * other if row == column else other
            least, most = max(0.0, own - sum(left[column + 1 :])), min(own, left[column])
            logits.append(math.log((entry - least) / (most - entry)))
            own, left[column] = own - entry, left[column] - entry
        left[-1] -= own
    return logits


def fill_transport(logits: Array, settings: MapSettings, to_type: Round) -> Array:
    """Compute H_res in numpy: fill the doubly stochastic matrix entry by entry, in float64."""
    n, lead = settings.streams, logits.shape[:-1]
    share = compute_sigmoid(to_type(logits)).reshape(*lead, n - 1, n - 1)
    filled = np.zeros((*lead, n, n))
    for i in range(n - 1):
        for j in range(n - 1):
            of_row = 1 - filled[..., i, :j].sum(-1)
            of_columns = 1 - filled[..., :i, j:].sum(-2)
            least = np.maximum(0, of_row - of_columns[..., 1:].sum(-1))
            most = np.minimum(of_row, of_columns[..., 0])
            filled[..., i, j] = least + (most - least) * share[..., i, j]
        filled[..., i, -1] = 1 - filled[..., i, :-1].sum(-1)
    filled[..., -1, :] = 1 - filled[..., :-1, :].sum(-2)
    return to_type((1 - UNIFORM_SHARE) * np.swapaxes(filled, -1, -2) + UNIFORM_SHARE / n)


FAMILY = Family(
    name="TBP-mHC",
    summary="entries placed one by one between feasible ends",
    year=2026,
    place=10,
    look=Look("#002e7a", "#b9ebff", "7px,2px,2px,2px", "bowtie"),
    logits=lambda n: (n - 1) ** 2,
    operations=lambda n, rounds: (n + 10) * (n - 1) ** 2 + 2 * n * n,
    map=TransportMap,
    map_reference=fill_transport,
    page_map=PageMap("transport"),
    paper="arXiv 2605.21724",
    parent="mhc",
    keeps="exact sums, all doubly stochastic matrices, (n − 1)² numbers",
    gives_up="symmetry: streams are filled one after the other",
)
