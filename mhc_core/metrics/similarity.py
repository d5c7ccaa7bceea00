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
           "Unbiased, over at most 256 samples; to_centred_gram(biased=True) makes the biased one on request.",
           "HSIC_1(K_l, K_m) / sqrt(HSIC_1(K_l, K_l) HSIC_1(K_m, K_m)), K_l the Gram matrix of m_l",
           "Kornblith et al. 2019; Song et al. 2012", "matrices", precision=(0.0, 2e-5)),
)  # fmt: skip


class CkaRows:
    """Keeps one normalised Gram matrix a layer and compares each new block of layers with all before."""

    def __init__(self, layers: int, samples: int, device: torch.device, dtype: torch.dtype) -> None:
        self.index = pick_samples(samples, 256 if layers <= 256 else 128, device)
        kept = len(self.index)
        self.grams_LQ = torch.empty(layers, kept * kept, device=device, dtype=dtype)
        self.filled = 0

    def add(self, m_KNC: torch.Tensor) -> torch.Tensor:
        """Rows of CKA for the K new layers against all layers so far: (K, filled).

        Entries to the right of a row's own layer are the mirror image and are filled as well.
        """
        start, self.filled = self.filled, self.filled + len(m_KNC)
        gram = to_centred_gram(m_KNC[:, self.index].to(self.grams_LQ.dtype))
        self.grams_LQ[start : self.filled] = gram.flatten(1)
        new = self.grams_LQ[start : self.filled]
        return new @ self.grams_LQ[: self.filled].T


def to_centred_gram(x_KPC: torch.Tensor, *, biased: bool = False) -> torch.Tensor:
    """U-centred Gram matrices of unit Frobenius norm, (K, P, P); Song et al. 2012.

    `biased` centres them as Kornblith et al. 2019 do, which is HSIC_0. It calls unrelated layers alike where samples
    are fewer than features (0.8 at 64 samples of 256 features): say P wherever you show it.

    Features are centred and scaled first: the Gram of uncentred features loses digits, and large ones overflow. Where
    all samples agree, the norm is 0 and the result nan: CKA is undefined there.
    """
    samples = x_KPC.shape[1]
    x_KPC = x_KPC - x_KPC.mean(1, keepdim=True)
    x_KPC = x_KPC / x_KPC.abs().amax((1, 2), keepdim=True)
    gram = x_KPC @ x_KPC.mT  # of centred features: centred in the biased sense
    if biased:
        return gram / torch.linalg.vector_norm(gram, dim=(1, 2), keepdim=True)
    # In place from here on: every copy of P x P entries costs as much as a step of the arithmetic.
    gram.diagonal(dim1=1, dim2=2).zero_()
    sums = gram.sum(2, keepdim=True)
    # Half of the grand mean goes with the rows and half with the columns.
    shift = (sums - sums.sum(1, keepdim=True) / (2 * (samples - 1))) / (samples - 2)
    gram.sub_(shift).sub_(shift.mT)
    gram.diagonal(dim1=1, dim2=2).zero_()
    return gram.div_(torch.linalg.vector_norm(gram, dim=(1, 2), keepdim=True))
