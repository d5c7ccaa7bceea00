"""Metrics of the Jacobian of a whole stack, and the bidiagonal matrix that they are read from. numpy, float64."""

import numpy as np


def measure_bidiagonal(alpha_K: np.ndarray, beta_K: np.ndarray) -> dict[str, np.ndarray]:
    """Ritz values of A and how far they can be trusted, from A V = U B and A^T U = V B^T + beta_K v e_K^T.

    B is upper bidiagonal with alpha on its diagonal and beta, without its last entry, above. With B = P S Q^T, the pair
    (U p, V q) misses A^T u = s v by beta_K |p_K|, and A v = s u by nothing. The eigenvalues of [[0, A], [A^T, 0]] are
    the singular values and their negatives, so a singular value lies within beta_K |p_K| / sqrt(2) of s.

    Returns
    -------
    `jacobian_ritz` (K), and 0-d values of the largest and of the least of them, each with its bound.
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
