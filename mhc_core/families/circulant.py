"""C-mHC (Circulant Hyper-Connections, Zwick): H_res as a mean of cyclic shifts, less of it the deeper the stack.

Eq. 7 and Theorem 3 of the paper in contactsebi/circulant-hyper-connections.
"""

from typing import TYPE_CHECKING

import numpy as np

from mhc_core.family import Array, Family, Look, MapSettings, PageMap, ResidualMap, Round

if TYPE_CHECKING:
    import torch

BUDGET = 4.0  # b: twice the mixing of all layers together, as in the published training code


class CirculantMap(ResidualMap):
    """n logits c: H_res = (1 - g) I + g sum_k softmax(c)_k P^k, where P^k adds k to the stream that is read.

    g = b / 2L: see `find_mixing`. Every singular value of H_res is at least 1 - 2g, so that of a product of all L
    layers is at least (1 - b / L)^L where L > b. The printed bound e^(-b - b^2 / L) is below that where
    b / L <= 0.68, by ln(1 - x) >= -x - x^2: with b = 4 from 6 layers on (the paper states it from 8 on). A product
    of 5 layers can be below it, and one of 4 or fewer can be singular.
    """

    def __init__(self, settings: MapSettings) -> None:
        import torch

        super().__init__(settings)
        self.mixing = find_mixing(settings.depth)
        streams = torch.arange(self.n)
        self.shifts_nn = (streams - streams.unsqueeze(1)) % self.n  # k of the P^k that has the entry (i, j)

    def start(self, certainty: float) -> list[float]:
        return [certainty] + [0.0] * (self.n - 1)

    def __call__(self, raw: "torch.Tensor") -> "torch.Tensor":
        """Return H_res (..., n, n) of logits: a share of the identity plus a weighted sum of cyclic shifts."""
        import torch

        # They stay where the logits are: a new copy would cost a transfer in every layer.
        self.shifts_nn = self.shifts_nn.to(raw.device)
        shares = self.mixing * torch.softmax(raw, dim=-1)
        kept = (1 - self.mixing) * torch.eye(self.n, dtype=raw.dtype, device=raw.device)
        return shares[..., self.shifts_nn] + kept


def find_mixing(depth: int) -> float:
    """Find the share g = b / 2L of cyclic shifts in H_res, at most 1, since b = 4 of one layer would give 2."""
    return min(1.0, BUDGET / (2 * depth))


def add_shifts(logits: Array, settings: MapSettings, to_type: Round) -> Array:
    """Compute H_res in numpy: the identity and the cyclic shifts with their weights."""
    n, g, t = settings.streams, find_mixing(settings.depth), to_type(logits)
    sizes = np.exp(t - t.max(-1, keepdims=True))
    shares = to_type(g * to_type(sizes / sizes.sum(-1, keepdims=True)))
    shifts = np.stack([np.roll(np.eye(n), k, axis=1) for k in range(n)])
    return to_type(np.einsum("...k,kij->...ij", shares, shifts) + to_type((1 - g) * np.eye(n)))


FAMILY = Family(
    name="C-mHC",
    summary="the identity and a mean of cyclic shifts",
    year=2026,
    place=11,
    look=Look("#cd51f6", "#8f57c7", "2px,2px,2px,5px", "circle-cross"),
    by_depth=True,
    logits=lambda n: n,
    operations=lambda n, rounds: 5 * n + n * n,
    map=CirculantMap,
    map_reference=add_shifts,
    page_map=PageMap("circulant", layers=128),
    parent="mhc",
    keeps="exact sums, and a bound from below: all layers together lose no signal completely",
    gives_up="all mixing but cyclic shifts, and strong mixing in deep stacks",
)
