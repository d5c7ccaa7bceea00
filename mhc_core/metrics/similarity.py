"""Linear CKA of all pairs of layers, unbiased by default, computed row by row as layers arrive.

CKA of Kornblith et al. 2019 with the unbiased HSIC_1 of Song et al. 2012: Gram matrices over P samples are U-centred
(zero diagonal), and CKA is the cosine between them. P > 3 is required; at most 256 samples are used, or 128 in stacks
of more than 256 layers. A layer whose samples are all the same has no CKA: it would be 0 / 0.
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

# In stacks of more layers fewer samples are used, because one Gram matrix per layer is kept.
MANY_LAYERS = 256
# Why a layer has no CKA; on the device the index in this tuple is stored.
FAULTS: tuple[Status | None, ...] = (None, "constant", "overflow", "nan")
CONSTANT, OVERFLOW, UNKNOWN = 1, 2, 3
# Identical samples differ by rounding errors of the layers, up to 240 units in the last place of the largest entry
# after 256 layers; tokens of a text differ by 500 000.
SAME_ULPS = 256
# If all samples have equal distances, or if only one differs from the others, U-centring leaves only rounding errors of
# the Gram matrix, whose features are at most 1.
MIN_NORM_EPS = 32


class CkaRows:
    """Computes CKA: keeps one centred Gram matrix per layer, and compares each new block of layers with all before.

    `faults_L` says for each layer so far why it has no CKA, as an index into `FAULTS`; 0 if it has.

    Parameters
    ----------
    samples: number of samples of each layer. At most `most` of them are used; by default 256, or 128 in stacks of more
        than 256 layers.
    biased: whether to centre as Kornblith et al. 2019 (HSIC_0); default False. With fewer samples than features, it
        calls unrelated layers similar (0.8 for 64 samples of 256 features): show P next to it.
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

        Entries of later layers of the block are included; by symmetry, they are the same as in later rows. Entries of a
        layer with a fault are nan.
        """
        import torch

        start, self.filled = self.filled, self.filled + len(m_KNC)
        new_KPP = self.grams_LPP[start : self.filled]
        kept_KPC = m_KNC if self.kept == m_KNC.shape[1] else m_KNC[:, self.index]  # an index copies
        x_KPC = kept_KPC.to(new_KPP.dtype)
        faults_K = find_faults(x_KPC)
        # Layers with a fault are set to 0, because their nan would spread to other layers (nan times 0 is nan).
        x_KPC = x_KPC.masked_fill((faults_K > 0)[:, None, None], 0)
        fill_centred_gram(new_KPP, x_KPC, biased=self.biased)
        rows = new_KPP.flatten(1) @ self.grams_LPP[: self.filled].flatten(1).T
        # Norms are the diagonal of the products, which saves one pass over P x P entries per layer.
        norms_K = rows[:, start:].diagonal().sqrt()
        is_rounding_K = ~(norms_K > MIN_NORM_EPS * torch.finfo(norms_K.dtype).eps)
        faults_K.masked_fill_((faults_K == 0) & is_rounding_K, UNKNOWN)
        self.norms_L[start : self.filled] = norms_K.masked_fill_(faults_K > 0, torch.nan)
        self.faults_L[start : self.filled] = faults_K
        return rows / (self.norms_L[start : self.filled, None] * self.norms_L[: self.filled])

    def take(self, other: CkaRows, count: int) -> None:
        """Copy the next `count` layers from another pass in which they are the same."""
        start, self.filled = self.filled, self.filled + count
        for name in ("grams_LPP", "norms_L", "faults_L"):
            getattr(self, name)[start : self.filled] = getattr(other, name)[start : self.filled]


def find_faults(x_KPC: torch.Tensor) -> torch.Tensor:
    """Return for each layer why its features (P, C) have no CKA, as an index into `FAULTS`, (K); 0 if they have."""
    import torch

    high_KC, low_KC = x_KPC.amax(1), x_KPC.amin(1)
    size_K = torch.maximum(high_KC, -low_KC).amax(1)  # nan if one entry is
    spread_K = (high_KC - low_KC).amax(1)
    same_K = spread_K <= SAME_ULPS * torch.finfo(x_KPC.dtype).eps * size_K
    faults_K = same_K * CONSTANT
    return faults_K.masked_fill_(size_K.isinf(), OVERFLOW).masked_fill_(size_K.isnan(), UNKNOWN)


def to_cka_status(faults_L: np.ndarray) -> dict[int, Status]:
    """Return the status of each layer without CKA, by layer."""
    return {layer: flag for layer, fault in enumerate(faults_L) if (flag := FAULTS[int(fault)]) is not None}


def count_cka_samples(samples: int, layers: int) -> int:
    """Return how many of a layer's samples CKA uses; limited because one Gram matrix per layer is kept."""
    return min(samples, 256 if layers <= MANY_LAYERS else 128)


def fill_centred_gram(out_KPP: torch.Tensor, x_KPC: torch.Tensor, *, biased: bool) -> None:
    """Compute the Gram matrices of features into `out_KPP`, up to a factor per layer: U-centred as in Song et al. 2012,
    or centred if `biased`.

    Features are first centred and scaled, because Gram matrices of uncentred features lose precision, and large ones
    overflow. Each row of the Gram matrix then sums to 0, and without its diagonal entry to minus that entry. Therefore
    the shifts of U-centring are known before the product, and are computed in it, as two additional features: a pass
    over P x P entries would cost as much as the product.
    """
    import torch

    samples = x_KPC.shape[1]
    # In float64, because a sum of large float32 entries could overflow. The clamp avoids a division by 0.
    x_KPC = x_KPC - x_KPC.mean(1, keepdim=True, dtype=torch.float64).to(x_KPC.dtype)
    x_KPC.div_(x_KPC.abs().amax((1, 2), keepdim=True).clamp_min(torch.finfo(x_KPC.dtype).tiny))
    if biased:
        torch.bmm(x_KPC, x_KPC.mT, out=out_KPP)
        return
    sums = -torch.linalg.vecdot(x_KPC, x_KPC).unsqueeze(2)
    # Half of the grand mean is in the shift of rows, and half in that of columns.
    shift = (sums - sums.sum(1, keepdim=True) / (2 * (samples - 1))) / (samples - 2)
    one = torch.ones_like(shift)
    left, right = torch.cat([x_KPC, shift, one], 2), torch.cat([x_KPC, -one, -shift], 2)
    torch.bmm(left, right.mT, out=out_KPP)
    out_KPP.diagonal(dim1=1, dim2=2).zero_()
