"""Linear CKA between layers, unbiased, all pairs, row by row as layers arrive.

Kornblith et al. 2019 with the unbiased HSIC_1 of Song et al. 2012: Gram matrices over P samples are U-centred (zero
diagonal), and CKA is the cosine between them. P > 3 is required; at most 256 samples, 128 in stacks over 256 layers.
"""

import torch

from mhc_core.metrics.registry import Metric, declare
from mhc_core.metrics.states import pick_samples

declare(
    Metric("cka", "CKA", "", "linear", "LL", "similarity",
           "How alike two layers' representations are, whatever their rotation and scale; 0 unrelated, 1 the same. "
           "Unbiased, or biased where the spec asks for it; the start frame says over how many samples.",
           "HSIC_1(K_l, K_m) / sqrt(HSIC_1(K_l, K_l) HSIC_1(K_m, K_m)), K_l the Gram matrix of m_l",
           "Kornblith et al. 2019; Song et al. 2012", "matrices", precision=(0.0, 2e-5)),
)  # fmt: skip


class CkaRows:
    """Keeps one centred Gram matrix a layer and compares each new block of layers with all before.

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
        self.index = pick_samples(samples, most or count_cka_samples(samples, layers), device)
        self.kept, self.biased = len(self.index), biased
        self.grams_LPP = torch.empty(layers, self.kept, self.kept, device=device, dtype=dtype)
        self.norms_L = torch.empty(layers, device=device, dtype=dtype)
        self.filled = 0

    def add(self, m_KNC: torch.Tensor) -> torch.Tensor:
        """Rows of CKA for the K new layers against all layers so far: (K, filled).

        Entries to the right of a row's own layer are the mirror image and are filled as well. Where all samples of a
        layer agree, its entries are nan: CKA is undefined there.
        """
        start, self.filled = self.filled, self.filled + len(m_KNC)
        new_KPP = self.grams_LPP[start : self.filled]
        fill_centred_gram(new_KPP, m_KNC[:, self.index].to(new_KPP.dtype), biased=self.biased)
        rows = new_KPP.flatten(1) @ self.grams_LPP[: self.filled].flatten(1).T
        # Norms come with the products: one pass over P x P entries a layer less.
        self.norms_L[start : self.filled] = rows[:, start:].diagonal().sqrt()
        return rows / (self.norms_L[start : self.filled, None] * self.norms_L[: self.filled])


def count_cka_samples(samples: int, layers: int) -> int:
    """How many of a layer's samples are kept: a stack keeps a Gram matrix of every layer."""
    return min(samples, 256 if layers <= 256 else 128)


def fill_centred_gram(out_KPP: torch.Tensor, x_KPC: torch.Tensor, *, biased: bool) -> None:
    """Gram matrices of features, U-centred as Song et al. 2012 do, or centred where `biased`, up to a factor a layer.

    Features are centred and scaled first: the Gram of uncentred features loses digits, and large ones overflow. Then
    every row of the Gram sums to zero, and without its diagonal to minus the diagonal: the shifts of U-centring are
    known before the product, and come with it as two features more. Passes over P x P entries cost as much as the
    product.
    """
    samples = x_KPC.shape[1]
    x_KPC = x_KPC - x_KPC.mean(1, keepdim=True)
    x_KPC = x_KPC / x_KPC.abs().amax((1, 2), keepdim=True)
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
