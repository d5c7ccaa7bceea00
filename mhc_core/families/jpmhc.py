"""JPmHC (arXiv 2602.18308): H_res by two steps of an iteration that converges to the Cayley transform, as in public
code that ports it.

Only H_res is as in the paper. H_pre and H_post are matrices through a softmax there; here they are mHC's sigmoids, as
in all families with a map.
"""

from typing import TYPE_CHECKING

import numpy as np

from mhc_core.family import Array, Family, Look, MapSettings, PageMap, ResidualMap, Round

if TYPE_CHECKING:
    import torch

SCALE = 0.1
STEPS = 2


class IteratedCayleyMap(ResidualMap):
    """The map from n^2 logits M to H_res: with W = M - M^t, Y = I + a W, then twice Y = I + a/2 W (I + Y), a = 0.1.

    The result is I + t + t^2 / 2 + t^3 / 4 with t = a W. An eigenvalue i v of W gives the singular value
    sqrt(1 - u^4 / 4 + u^6 / 16), u = a |v|: nearly 1 for small logits, never below 0.64, and above 1 if u > 2. Logits
    of 0, from which all initialisations start, give the identity.
    """

    def start(self, certainty: float) -> list[float]:
        return [0.0] * self.n**2

    def __call__(self, raw: "torch.Tensor") -> "torch.Tensor":
        """Return H_res (..., n, n) of logits: a nearly orthogonal matrix, by two Cayley iterations."""
        import torch

        t = raw.double().unflatten(-1, (self.n, self.n))
        step = SCALE * (t - t.mT)
        eye = torch.eye(self.n, dtype=t.dtype, device=t.device)
        matrix = eye + step
        for _ in range(STEPS):
            matrix = eye + step @ (eye + matrix) / 2
        return matrix.to(raw.dtype)


def sum_cayley_series(logits: Array, settings: MapSettings, to_type: Round) -> Array:
    """Compute H_res in numpy from the sum of its two iterations: I + t + t^2 / 2 + t^3 / 4, t = a (M - M^t)."""
    n = settings.streams
    m = to_type(logits).reshape(*logits.shape[:-1], n, n)
    t = SCALE * (m - np.swapaxes(m, -1, -2))
    return to_type(np.eye(n) + t + t @ t / 2 + t @ t @ t / 4)


FAMILY = Family(
    name="JPmHC",
    summary="nearly orthogonal mixing by two Cayley iterations",
    year=2026,
    place=14,
    look=Look("#4775ff", "#0066cc", "9px,2px,1px,2px", "star-diamond"),
    rows="free",
    columns="free",
    norm_bounded=False,  # for small logits only
    signed=True,
    operations=lambda n, rounds: STEPS * (2 * n**3 + 2 * n) + 3 * n * n,
    map=IteratedCayleyMap,
    map_reference=sum_cayley_series,
    page_map=PageMap("iterated_cayley", layers=32),  # large logits give large entries, which cancel in products
    paper="arXiv 2602.18308",
    parent="orthogonal",
    keeps="the norm nearly, in two multiplications",
    gives_up="the bound: large logits lengthen or shorten a signal",
)
