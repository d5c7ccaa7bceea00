"""The Jacobian of a whole stack."""

from mhc_core.metrics.catalogue.sources import OURS
from mhc_core.metrics.registry import Metric, declare

GOLUB_KAHAN = "Golub & Kahan 1965"

DEFINITION = "J = d out / d x_0, out before the final norm, x_0 before it is given to the streams"

declare(
    Metric("jacobian_sigma_max", "Largest singular value", "", "log", "", "jacobian",
           "Most that the stack stretches a small change of its input: the largest Ritz value, a lower bound that is "
           "reached soon.", f"max_v ||J v|| / ||v||, {DEFINITION}", GOLUB_KAHAN, "jacobian"),
    Metric("jacobian_sigma_max_bound", "Largest singular value, residual bound", "", "log", "", "jacobian",
           "A singular value lies within this distance of the largest Ritz value, rounding aside.",
           "beta_k |p_k| / sqrt(2), p the left singular vector of B_k", GOLUB_KAHAN, "jacobian"),
    Metric("jacobian_sigma_min", "Least singular value, upper bound", "", "log", "", "jacobian",
           "The stack shrinks some change of its input at least to this: the least Ritz value, only an upper bound "
           "of the least singular value.", f"min over the vectors tried of ||J v|| / ||v||, {DEFINITION}",
           GOLUB_KAHAN, "jacobian"),
    Metric("jacobian_sigma_min_bound", "Least singular value, residual bound", "", "log", "", "jacobian",
           "A singular value, not necessarily the least, lies within this distance of the least Ritz value, rounding "
           "aside.", "beta_k |p_k| / sqrt(2), p the left singular vector of B_k", GOLUB_KAHAN, "jacobian"),
    Metric("jacobian_ritz", "Ritz values", "", "log", "K", "jacobian",
           "Singular values of J as seen from the vectors tried, in falling order.", "singular values of B_k",
           GOLUB_KAHAN, "jacobian"),
    Metric("jacobian_mismatch", "Mismatch of products", "", "log", "", "jacobian",
           "How far products with J and with its transpose disagree, at most: the size of their rounding errors.",
           "max_j |u_j . J v_j - v_j . J^T u_j|", OURS, "jacobian"),
)  # fmt: skip
