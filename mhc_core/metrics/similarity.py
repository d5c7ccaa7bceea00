"""Linear CKA between layers, unbiased, all pairs, row by row as layers arrive.

Kornblith et al. 2019 with the unbiased HSIC_1 of Song et al. 2012: Gram matrices over P samples are U-centred (zero
diagonal), and CKA is the cosine between them. P > 3 is required; at most 256 samples, 128 in stacks over 256 layers.
A layer whose samples all agree has no CKA: it is 0 / 0.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mhc_core.metric import Metric, Status
from mhc_core.metrics.states import pick_samples

if TYPE_CHECKING:
    import torch

METRICS = (
    Metric("cka", "CKA", "", "linear", "LL", "similarity",
           "How alike two layers' representations are, whatever their rotation and scale; 0 unrelated, 1 the same. "
           "Unbiased, or biased where the spec asks for it; the start frame says over how many samples.",
           "HSIC_1(K_l, K_m) / sqrt(HSIC_1(K_l, K_l) HSIC_1(K_m, K_m)), K_l the Gram matrix of m_l; of none, with a "
           "status, where m_l is not finite or the same for all samples",
           "Kornblith et al. 2019; Song et al. 2012", "matrices", precision=(0.0, 2e-5)),
)  # fmt: skip

# In stacks of more layers fewer samples are kept: a Gram matrix of every layer is.
MANY_LAYERS = 256
# Why a layer has no CKA, by the number under which the device keeps it.
FAULTS: tuple[Status | None, ...] = (None, "constant", "overflow", "nan")
CONSTANT, OVERFLOW, UNKNOWN = 1, 2, 3
# Samples that are the same still differ by what rounding made of them on their way, up to 240 units in the last place
# of the largest entry in 256 layers; a text's tokens differ by 500 000.
SAME_ULPS = 256
# U-centring takes away all there is of samples at equal distances, or of one that differs from all others; what is left
# of a Gram matrix of features up to 1 is then its rounding.
MIN_NORM_EPS = 32


class CkaRows:
    """Keeps one centred Gram matrix per layer and compares each new block of layers with all before.

    `faults_L` says of each layer so far whether it has CKA: a place in `FAULTS`.

    Parameters
    ----------
    samples: how many each layer will bring; of them at most `most` are kept, by default 256, or 128 in stacks over 256
        layers.
    biased: centre as Kornblith et al. 2019 do, which is HSIC_0. It calls unrelated layers alike where samples are fewer
        than features (0.8 at 64 samples of 256 features): say P wherever you show it.
    """

    def __init__(
        self,
        layers: int,
        samples: int,
        device: torch.device,
        dtype: torch.dtype,
        *,
        most: int | None = None,
        biased: bool = False,
    ) -> None:
        import torch

        self.index = pick_samples(samples, most or count_cka_samples(samples, layers), device)
        self.kept, self.biased = len(self.index), biased
        self.grams_LPP = torch.empty(layers, self.kept, self.kept, device=device, dtype=dtype)
        self.norms_L = torch.empty(layers, device=device, dtype=dtype)
        self.faults_L = torch.zeros(layers, device=device, dtype=torch.int64)
        self.filled = 0

    def add(self, m_KNC: torch.Tensor) -> torch.Tensor:
        """Return rows of CKA for the K new layers against all layers so far: (K, filled).

        Entries to the right of a row's own layer are the mirror image and are filled as well. Those of a layer with a
        fault are nan.
        """
        import torch

        start, self.filled = self.filled, self.filled + len(m_KNC)
        new_KPP = self.grams_LPP[start : self.filled]
        kept_KPC = m_KNC if self.kept == m_KNC.shape[1] else m_KNC[:, self.index]  # an index copies
        x_KPC = kept_KPC.to(new_KPP.dtype)
        faults_K = find_faults(x_KPC)
        # Nothing of such a layer may reach the others: nan times 0 is nan.
        x_KPC = x_KPC.masked_fill((faults_K > 0)[:, None, None], 0)
        fill_centred_gram(new_KPP, x_KPC, biased=self.biased)
        rows = new_KPP.flatten(1) @ self.grams_LPP[: self.filled].flatten(1).T
        # Norms come with the products: one pass over P x P entries a layer less.
        norms_K = rows[:, start:].diagonal().sqrt()
        is_rounding_K = ~(norms_K > MIN_NORM_EPS * torch.finfo(norms_K.dtype).eps)
        faults_K.masked_fill_((faults_K == 0) & is_rounding_K, UNKNOWN)
        self.norms_L[start : self.filled] = norms_K.masked_fill_(faults_K > 0, torch.nan)
        self.faults_L[start : self.filled] = faults_K
        return rows / (self.norms_L[start : self.filled, None] * self.norms_L[: self.filled])

    def take(self, other: CkaRows, count: int) -> None:
        """Take over the next layers from another pass in which they are the same."""
        start, self.filled = self.filled, self.filled + count
        for name in ("grams_LPP", "norms_L", "faults_L"):
            getattr(self, name)[start : self.filled] = getattr(other, name)[start : self.filled]


def find_faults(x_KPC: torch.Tensor) -> torch.Tensor:
    """Return why each layer's features (P, C) have no CKA, as an index into `FAULTS`: (K)."""
    import torch

    high_KC, low_KC = x_KPC.amax(1), x_KPC.amin(1)
    size_K = torch.maximum(high_KC, -low_KC).amax(1)  # nan where one entry is
    spread_K = (high_KC - low_KC).amax(1)
    same_K = spread_K <= SAME_ULPS * torch.finfo(x_KPC.dtype).eps * size_K
    faults_K = same_K * CONSTANT
    return faults_K.masked_fill_(size_K.isinf(), OVERFLOW).masked_fill_(size_K.isnan(), UNKNOWN)


def to_cka_status(faults_L: np.ndarray) -> dict[int, Status]:
    """Return the status of each layer without CKA, by layer."""
    return {layer: flag for layer, fault in enumerate(faults_L) if (flag := FAULTS[int(fault)]) is not None}


def count_cka_samples(samples: int, layers: int) -> int:
    """Count how many of a layer's samples are kept: a stack keeps a Gram matrix of every layer."""
    return min(samples, 256 if layers <= MANY_LAYERS else 128)


def fill_centred_gram(out_KPP: torch.Tensor, x_KPC: torch.Tensor, *, biased: bool) -> None:
    """Fill Gram matrices of features, U-centred as Song et al. 2012 do, or centred where `biased`, up to a factor a
    layer.

    Features are centred and scaled first: the Gram of uncentred features loses digits, and large ones overflow. Then
    every row of the Gram sums to zero, and without its diagonal to minus the diagonal: the shifts of U-centring are
    known before the product, and come with it as two features more. Passes over P x P entries cost as much as the
    product.
    """
    import torch

    samples = x_KPC.shape[1]
    # In float64: a sum of large float32 entries would overflow where none of them does. Of zeros nothing is divided.
    x_KPC = x_KPC - x_KPC.mean(1, keepdim=True, dtype=torch.float64).to(x_KPC.dtype)
    x_KPC.div_(x_KPC.abs().amax((1, 2), keepdim=True).clamp_min(torch.finfo(x_KPC.dtype).tiny))
    if biased:
        torch.bmm(x_KPC, x_KPC.mT, out=out_KPP)
        return
    sums = -torch.linalg.vecdot(x_KPC, x_KPC).unsqueeze(2)
    # Half of the grand mean goes with the rows and half with the columns.
    shift = (sums - sums.sum(1, keepdim=True) / (2 * (samples - 1))) / (samples - 2)
    one = torch.ones_like(shift)
    left, right = torch.cat([x_KPC, shift, one], 2), torch.cat([x_KPC, -one, -shift], 2)
    torch.bmm(left, right.mT, out=out_KPP)
    out_KPP.diagonal(dim1=1, dim2=2).zero_()
