"""How alike the representations of layers are."""

from mhc_core.metrics.registry import Metric, declare

declare(
    Metric("cka", "CKA", "", "linear", "LL", "similarity",
           "How alike two layers' representations are, whatever their rotation and scale; 0 unrelated, 1 the same. "
           "Unbiased, or biased where the spec asks for it; the start frame says over how many samples.",
           "HSIC_1(K_l, K_m) / sqrt(HSIC_1(K_l, K_l) HSIC_1(K_m, K_m)), K_l the Gram matrix of m_l; of none, with a "
           "status, where m_l is not finite or the same for all samples",
           "Kornblith et al. 2019; Song et al. 2012", "matrices", precision=(0.0, 2e-5)),
)  # fmt: skip
