"""Metrics of the Jacobian of a whole stack, computed from its bidiagonal matrix. numpy, float64."""

import numpy as np

from mhc_core.metric import OURS, Metric

GOLUB_KAHAN = "Golub & Kahan 1965"

DEFINITION = "J = d out / d x_0, out before the final norm, x_0 before it is given to the streams"

METRICS = (
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


def measure_bidiagonal(alpha_K: np.ndarray, beta_K: np.ndarray) -> dict[str, np.ndarray]:
    """Return approximate singular values of A and their bounds, from A V = U B and A^T U = V B^T + beta_K v e_K^T.

    B is upper bidiagonal with alpha on its diagonal, and beta without its last entry above it. With B = P S Q^T, the
    pair (U p, V q) satisfies A v = s u exactly, and A^T u = s v with an error of beta_K |p_K|. The eigenvalues of
    [[0, A], [A^T, 0]] are the singular values and their negatives, so a singular value of A is within
    beta_K |p_K| / sqrt(2) of s.

    Returns
    -------
    `jacobian_ritz` (K), the values s, and the largest and the least of them, 0-d, each with its bound.
    """
    p, ritz, _ = np.linalg.svd(np.diag(alpha_K) + np.diag(beta_K[:-1], 1))
    bound = beta_K[-1] * np.abs(p[-1]) / np.sqrt(2.0)
    return {
        "jacobian_sigma_max": ritz[0],
        "jacobian_sigma_max_bound": bound[0],
        "jacobian_sigma_min": ritz[-1],
        "jacobian_sigma_min_bound": bound[-1],
        "jacobian_ritz": ritz,
    }
