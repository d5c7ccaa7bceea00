"""Metrics of the mixing matrices: each alone, and their products over depth. numpy, float64.

Products are rescaled at every step and their logarithm kept, so that 1e401 is a number like any other.
"""

import numpy as np


@np.errstate(invalid="ignore")
def measure_matrices(h_res_Knn: np.ndarray) -> dict[str, np.ndarray]:
    """Metrics of each matrix alone: row and column sums (K, n), the others (K); singular values where n > 1."""
    row, col, lowest = h_res_Knn.sum(2), h_res_Knn.sum(1), h_res_Knn.min((1, 2))
    deviation = np.maximum(np.abs(row - 1).max(1), np.abs(col - 1).max(1))
    measured = {
        "h_res_row_sum": row,
        "h_res_col_sum": col,
        "h_res_min": lowest,
        "ds_error": np.maximum(deviation, np.maximum(-lowest, 0.0)),
        "gain_fwd": np.abs(row).max(1),
        "gain_bwd": np.abs(col).max(1),
    }
    n = h_res_Knn.shape[1]
    if n > 1:
        measured["h_res_sigma2"] = _singular_values(h_res_Knn)[:, 1]
        measured["h_res_attenuation"] = _singular_values(_centre(n) @ h_res_Knn @ _centre(n))[:, 0]
        measured["h_res_to_uniform"] = _singular_values(h_res_Knn - 1 / n)[:, 0]
    return measured


@np.errstate(invalid="ignore")  # of matrices that overflowed the product is nan, which is the result
def measure_composites(h_res_Lnn: np.ndarray) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Metrics of the products over depth: key -> (value, log10 of its magnitude), each (L).

    Forward at l is H_l ... H_1, backward at l is H_L ... H_l (mHC's convention). A value beyond float64 is inf or 0
    and its log10 is finite. A product that is exactly zero has log10 -inf.
    """
    n = h_res_Lnn.shape[1]
    up, up_exp = _accumulate(h_res_Lnn)
    # The backward product grows on its right: its transpose accumulates the transposes from the last layer down.
    down, down_exp = _accumulate(h_res_Lnn[::-1].transpose(0, 2, 1))
    down, down_exp = down[::-1].transpose(0, 2, 1), down_exp[::-1]
    found = {
        "composite_gain_fwd": (np.abs(up.sum(2)).max(1), up_exp),
        "composite_gain_bwd": (np.abs(down.sum(1)).max(1), down_exp),
        "composite_norm_inf": (np.abs(up).sum(2).max(1), up_exp),
        "composite_norm_1": (np.abs(down).sum(1).max(1), down_exp),
        "composite_min_col_sum": (down.sum(1).min(1), down_exp),
    }
    if n > 1:
        apart, apart_exp = _accumulate(_centre(n) @ h_res_Lnn @ _centre(n))
        found["composite_sigma2"] = (_singular_values(apart)[:, 0], apart_exp)
    return {key: unscale(scaled, exponents) for key, (scaled, exponents) in found.items()}


def composite(h_res_Lnn: np.ndarray, first: int, last: int) -> tuple[np.ndarray, int]:
    """H_last ... H_first, both inclusive and counted from 0, as (scaled, exponent): the product is scaled * 2^exponent.

    The largest entry of scaled is in [1/2, 1).
    """
    assert 0 <= first <= last < len(h_res_Lnn), "not an interval of layers"
    scaled, exponents = _accumulate(h_res_Lnn[first : last + 1])
    return scaled[-1], int(exponents[-1])


def _centre(n: int) -> np.ndarray:
    """C = I - J/n, which takes the mean over streams away."""
    return np.eye(n) - np.full((n, n), 1 / n)


def _singular_values(matrices_Knn: np.ndarray) -> np.ndarray:
    """Singular values of each matrix, the largest first, (K, n); nan where a matrix is not finite."""
    finite = np.isfinite(matrices_Knn).all((1, 2))
    found = np.full(matrices_Knn.shape[:2], np.nan)
    found[finite] = np.linalg.svd(matrices_Knn[finite], compute_uv=False)
    return found


def _accumulate(matrices_Lnn: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Products M_l = H_l ... H_1 as M = scaled * 2^exponent with the largest entry of scaled in [1/2, 1)."""
    layers, n = matrices_Lnn.shape[:2]
    scaled, exponents = np.empty_like(matrices_Lnn), np.zeros(layers, dtype=np.int64)
    product, exponent = np.eye(n), 0
    for layer in range(layers):
        product = matrices_Lnn[layer] @ product
        # Powers of two rescale without rounding.
        shift = int(np.frexp(np.abs(product).max())[1])
        product, exponent = np.ldexp(product, -shift), exponent + shift
        scaled[layer], exponents[layer] = product, exponent
    return scaled, exponents


def unscale(scaled: np.ndarray, exponents: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """scaled * 2^exponents, inf or 0 beyond float64, and the log10 of its magnitude."""
    with np.errstate(divide="ignore", over="ignore", under="ignore"):
        value = np.ldexp(scaled, exponents)
        return value, np.log10(np.abs(scaled)) + exponents * np.log10(2.0)
