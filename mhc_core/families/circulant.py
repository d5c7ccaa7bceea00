"""C-mHC (Circulant Hyper-Connections, Zwick): H_res is the identity plus cyclic shifts, with less weight the deeper the
stack.

Eq. 7 and Theorem 3 of the paper in contactsebi/circulant-hyper-connections.
"""

from typing import TYPE_CHECKING

import numpy as np

from mhc_core.family import Array, Family, Look, MapSettings, PageMap, ResidualMap, Round

if TYPE_CHECKING:
    import torch

BUDGET = 4.0  # b: twice the weight of the shifts, summed over all layers, as in the published training code


class CirculantMap(ResidualMap):
    """The map from n logits c to H_res = (1 - g) I + g sum_k softmax(c)_k P^k, where P^k adds k to the index of the
    stream that is read.

    g = b / 2L, see `find_mixing`. All singular values of H_res are at least 1 - 2g, so those of the product of all L
    layers are at least (1 - b / L)^L if L > b. The bound in the paper, e^(-b - b^2 / L), is weaker if b / L <= 0.68,
    because ln(1 - x) >= -x - x^2 there. For b = 4, this is so from 6 layers on (the paper says 8). A product of 5
    layers can be below the paper's bound, and a product of 4 or fewer can be singular.
    """

    def __init__(self, settings: MapSettings) -> None:
        import torch

        super().__init__(settings)
        self.mixing = find_mixing(settings.depth)
        streams = torch.arange(self.n)
        self.shifts_nn = (streams - streams.unsqueeze(1)) % self.n  # entry (i, j) is the k for which P^k is 1 there

    def start(self, certainty: float) -> list[float]:
        return [certainty] + [0.0] * (self.n - 1)

    def __call__(self, raw: "torch.Tensor") -> "torch.Tensor":
        """Return H_res (..., n, n) of logits: a multiple of the identity plus a weighted sum of cyclic shifts."""
        import torch

        # Kept on the device of the logits, to avoid a transfer in every layer.
        self.shifts_nn = self.shifts_nn.to(raw.device)
        shares = self.mixing * torch.softmax(raw, dim=-1)
        kept = (1 - self.mixing) * torch.eye(self.n, dtype=raw.dtype, device=raw.device)
        return shares[..., self.shifts_nn] + kept


def find_mixing(depth: int) -> float:
    """Return the total weight g = b / 2L of the cyclic shifts in H_res, limited to 1 (b / 2L is 2 for one layer)."""
    return min(1.0, BUDGET / (2 * depth))


def add_shifts(logits: Array, settings: MapSettings, to_type: Round) -> Array:
    """Compute H_res in numpy: the weighted sum of the identity and the cyclic shifts."""
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
