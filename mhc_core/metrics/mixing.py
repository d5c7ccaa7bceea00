"""Metrics of the mixing matrices: of each matrix, and of their products over depth. numpy, float64.

Products are rescaled after each layer and the logarithm of their scale is kept, so that a gain of 1e401 is known.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from mhc_core.metric import OURS, Metric

AMAX = "mHC, Amax gain magnitude"
ROUNDING = 2.0**-24  # relative rounding of an entry of H_res to float32
LOST = 0.1  # a number has no value if rounding could change it by this fraction

METRICS = (
    Metric("h_pre", "H_pre", "", "linear", "Ln", "forward",
           "Weight of each stream in what the layer reads; mean over samples, and over features if each has its own.",
           "H_pre", "mHC Eq. 3", "matrices",
           precision=(0.0, 1e-6)),
    Metric("h_read", "Read matrix", "", "linear", "Lnn", "forward",
           "How the parts of the width make the layer's input, in place of H_pre; rows are what is read, columns "
           "parts; mean over samples.", "Y^T", "arXiv 2503.14125, Eq. 8", "matrices",
           precision=(0.0, 1e-6)),
    Metric("h_post", "H_post", "", "linear", "Ln", "forward",
           "Weight of the layer's output in each stream; mean over samples.", "H_post", "mHC Eq. 3", "matrices",
           precision=(0.0, 1e-6)),
    Metric("h_res", "H_res", "", "linear", "Lnn", "forward",
           "How streams mix past the layer; rows are outputs, columns inputs; mean over samples.",
           "H_res", "mHC Eq. 3", "matrices", precision=(0.0, 1e-6)),
    Metric("h_pre_std", "H_pre, spread", "", "linear", "Ln", "forward",
           "Standard deviation over samples of dynamic mixing.", "std(H_pre)", OURS, "matrices", precision=(0.0, 1e-6)),
    Metric("h_read_std", "Read matrix, spread", "", "linear", "Lnn", "forward",
           "Standard deviation over samples of dynamic mixing.", "std(Y^T)", OURS, "matrices", precision=(0.0, 1e-6)),
    Metric("h_post_std", "H_post, spread", "", "linear", "Ln", "forward",
           "Standard deviation over samples of dynamic mixing.", "std(H_post)", OURS, "matrices",
           precision=(0.0, 1e-6)),
    Metric("h_res_std", "H_res, spread", "", "linear", "Lnn", "forward",
           "Standard deviation over samples of dynamic mixing.", "std(H_res)", OURS, "matrices", precision=(0.0, 1e-6)),
    Metric("h_res_row_sum", "Row sums", "", "linear", "Ln", "forward",
           "What each output stream receives in all; 1 on the manifold.", "sum_j H_res[i,j]", OURS,
           precision=(1e-6, 1e-6)),
    Metric("h_res_col_sum", "Column sums", "", "linear", "Ln", "forward",
           "What each input stream gives in all; 1 on the manifold.", "sum_i H_res[i,j]", OURS, precision=(1e-6, 1e-6)),
    Metric("ds_error", "Deviation from doubly stochastic", "", "log", "L", "forward",
           "Largest deviation of a row or column sum from 1, or largest negative entry.",
           "max(|row - 1|, |column - 1|, -min H_res)", OURS, precision=(1e-6, 1e-6)),
    Metric("ds_error_tokens", "Deviation from doubly stochastic, worst token", "", "log", "L", "forward",
           "The same of each token's own matrix, and the worst of them; the mean over tokens hides it. Dynamic mixing "
           "only.", "max_t max(|row - 1|, |column - 1|, -min H_res)[t]", OURS, precision=(1e-6, 1e-6)),
    Metric("h_res_min", "Least entry", "", "linear", "L", "forward",
           "Least entry of H_res: below 0, a stream is subtracted from another.", "min_ij H_res[i,j]", OURS,
           precision=(0.0, 1e-6)),
    Metric("h_res_sigma2", "Second singular value", "", "linear", "L", "forward",
           "How much of the differences between streams one layer's mixing keeps, where rows and columns sum to 1.",
           "sigma_2(H_res)", OURS, precision=(1e-6, 1e-6)),
    Metric("h_res_to_uniform", "Distance to the uniform matrix", "", "linear", "L", "forward",
           "How far one layer is from averaging all streams; equal to the second singular value where rows and columns "
           "sum to 1.", "||H_res - J/n||_2", OURS, precision=(1e-6, 1e-6)),
    Metric("h_res_attenuation", "Differences kept by one layer", "", "linear", "L", "forward",
           "How much of the differences between streams one layer's mixing keeps, whatever its rows and columns sum "
           "to; equal to the second singular value where they sum to 1.", "||C H_res C||_2, C = I - J/n", OURS,
           precision=(1e-6, 1e-6)),
    Metric("gain_fwd", "Forward gain of one layer", "", "log", "L", "forward",
           "Largest |row sum|: what one layer's mixing makes of a signal that all streams share.",
           "max_i |sum_j H_res[i,j]|", AMAX, precision=(1e-5, 0.0)),
    Metric("gain_bwd", "Backward gain of one layer", "", "log", "L", "forward",
           "Largest |column sum|: what one layer's mixing makes of a gradient that all streams share.",
           "max_j |sum_i H_res[i,j]|", AMAX, precision=(1e-5, 0.0)),
    Metric("composite_gain_fwd", "Gain, forward", "", "log", "L", "mixing",
           "The largest factor, over streams, by which the mixing of layers 1 to l together amplifies a signal that "
           "all streams share. Dynamic mixing is averaged over samples.",
           "max_i |sum_j M[i,j]|, M = H_res_l ... H_res_1", AMAX, precision=(1e-5, 0.0), prefix=True),
    Metric("composite_gain_bwd", "Gain, backward", "", "log", "L", "mixing",
           "The largest factor, over streams, by which the mixing of layers l to L together amplifies a gradient that "
           "all streams share. Dynamic mixing is averaged over samples.",
           "max_j |sum_i M[i,j]|, M = H_res_L ... H_res_l", AMAX, precision=(1e-5, 0.0)),
    Metric("composite_norm_inf", "Composite operator norm, forward", "", "log", "L", "mixing",
           "Largest sum of absolute values in a row of the product of layers 1 to l.",
           "||H_res_l ... H_res_1||_inf", OURS, precision=(1e-5, 0.0), prefix=True),
    Metric("composite_norm_1", "Composite operator norm, backward", "", "log", "L", "mixing",
           "Largest sum of absolute values in a column of the product of layers l to L.",
           "||H_res_L ... H_res_l||_1", OURS, precision=(1e-5, 0.0)),
    Metric("composite_min_col_sum", "Least column sum", "", "linear", "L", "mixing",
           "Least column sum of the product of layers l to L: where no entry is negative, a stream whose sum is below "
           "1 loses gradient on the way.",
           "min_j sum_i M[i,j], M = H_res_L ... H_res_l", OURS, precision=(1e-5, 1e-5)),
    Metric("composite_sigma2", "Differences between streams", "", "log", "L", "mixing",
           "How much of the differences between streams survives layers 1 to l, without what passes through their mean "
           "on the way; the second singular value where rows and columns sum to 1.",
           "||C H_l C ... C H_1 C||_2, C = I - J/n", OURS, precision=(1e-5, 0.0), prefix=True),
    Metric("composite_sigma_max", "Largest singular value", "", "log", "L", "mixing",
           "The most by which the mixing of layers 1 to l together can change the norm of all streams; of matrices "
           "averaged over samples where mixing is dynamic.",
           "sigma_1(M), M = H_res_l ... H_res_1", OURS, precision=(1e-5, 0.0), prefix=True),
    Metric("composite_sigma_min", "Least singular value", "", "log", "L", "mixing",
           "The least that the mixing of layers 1 to l together leaves of the norm of all streams, of any signal. No "
           "value where rounding entries of H_res to float32 could change it by 10 % or more.",
           "sigma_n(M), M = H_res_l ... H_res_1", OURS, precision=(1e-4, 0.0), prefix=True),
)  # fmt: skip


@dataclass(frozen=True)
class Products:
    """Products of H_res over depth and their singular values, computed once for all metrics that need them.

    Products and singular values have the form scaled * 2^exponent. They are nan if a matrix is not finite.

    Attributes
    ----------
    h_res_Lnn: H_res of each layer.
    """

    h_res_Lnn: np.ndarray

    @cached_property
    @np.errstate(invalid="ignore")
    def chains(self) -> tuple[np.ndarray, np.ndarray]:
        """Return three sequences of products, scaled, (3, L, n, n), and their exponents, (3, L).

        They are H_l ... H_1; the transposes of H_L ... H_l, in order from the last layer to the first; and
        C H_l C ... C H_1 C.
        """
        centre = _centre(self.h_res_Lnn.shape[1])
        # The backward product grows on its right: its transpose accumulates transposes from the last layer on.
        chains = [self.h_res_Lnn, self.h_res_Lnn[::-1].transpose(0, 2, 1), centre @ self.h_res_Lnn @ centre]
        products, exponents = accumulate(np.stack(chains, 1))
        return products.swapaxes(0, 1), exponents.T

    @cached_property
    def singular_values(self) -> np.ndarray:
        """Return the singular values of H_l ... H_1, of C H_l C ... C H_1 C (both scaled), and of H_l, (3, L, n)."""
        up_Lnn, _, apart_Lnn = self.chains[0]
        found = list_singular_values(np.concatenate([up_Lnn, apart_Lnn, self.h_res_Lnn]))
        return found.reshape(3, *self.h_res_Lnn.shape[:2])

    @cached_property
    def inverses(self) -> np.ndarray:
        """Return H_l^-1 of the first layers, as far as the inverse of their product is known: `_count_invertible`."""
        return np.linalg.inv(self.h_res_Lnn[: _count_invertible(self.singular_values[2])])

    @cached_property
    def inverse_sizes(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the spectral norm of (H_l ... H_1)^-1, scaled, and its exponent, for the layers of `inverses`."""
        products, exponents = accumulate(self.inverses.transpose(0, 2, 1))
        return list_singular_values(products)[:, 0], exponents


@np.errstate(invalid="ignore")
def measure_matrices(h_res_Knn: np.ndarray) -> dict[str, np.ndarray]:
    """Measure the metrics of single matrices: row and column sums (K, n), others (K); singular values only if n > 1."""
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
        centred = _centre(n) @ h_res_Knn @ _centre(n)
        values = list_singular_values(np.concatenate([h_res_Knn, centred, h_res_Knn - 1 / n]))
        own, apart, uneven = values.reshape(3, -1, n)
        measured["h_res_sigma2"] = own[:, 1]
        measured["h_res_attenuation"] = apart[:, 0]
        measured["h_res_to_uniform"] = uneven[:, 0]
    return measured


@np.errstate(invalid="ignore")  # products of matrices that overflowed are nan, which is correct
def measure_composites(
    h_res_Lnn: np.ndarray, *, products: Products | None = None
) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Measure the metrics of products over depth: key -> (value, log10 of its magnitude), each (L).

    Forward at l is H_l ... H_1, backward at l is H_L ... H_l (mHC's convention). A value beyond the range of float64 is
    inf or 0, and its log10 is finite. A product that is exactly 0 has log10 -inf.

    products: the products of these matrices, if other metrics need them as well; by default they are computed.
    """
    products = products or Products(h_res_Lnn)
    (up, down, _), (up_exp, down_exp, apart_exp) = products.chains
    down, down_exp = np.ascontiguousarray(down[::-1].transpose(0, 2, 1)), down_exp[::-1]
    found = {
        "composite_gain_fwd": (np.abs(up.sum(2)).max(1), up_exp),
        "composite_gain_bwd": (np.abs(down.sum(1)).max(1), down_exp),
        "composite_norm_inf": (np.abs(up).sum(2).max(1), up_exp),
        "composite_norm_1": (np.abs(down).sum(1).max(1), down_exp),
        "composite_min_col_sum": (down.sum(1).min(1), down_exp),
    }
    if h_res_Lnn.shape[1] > 1:
        largest, kept = products.singular_values[:2, :, 0]
        found["composite_sigma2"] = (kept, apart_exp)
        found["composite_sigma_max"] = (largest, up_exp)
        found["composite_sigma_min"] = _find_least_singular_values(products)
    return {key: unscale(scaled, exponents) for key, (scaled, exponents) in found.items()}


def _find_least_singular_values(products: Products) -> tuple[np.ndarray, np.ndarray]:
    """Return the least singular value of H_l ... H_1 as scaled * 2^exponent, (L) each; nan if rounding could change it
    by `LOST` or more.

    It is computed as 1 over the largest singular value of the inverse, because in the product, small singular values
    are lost in the rounding of large ones. A relative rounding r of each H changes it by up to r times the condition
    number of H, summed over layers.
    """
    layers, (sizes, powers) = len(products.h_res_Lnn), products.inverse_sizes
    found, exponents = np.full(layers, np.nan), np.zeros(layers, dtype=np.int64)
    found[: len(sizes)], exponents[: len(sizes)] = 1 / sizes, -powers
    return found, exponents


def _count_invertible(singular_Ln: np.ndarray) -> int:
    """Count the first layers whose product has a least singular value that rounding changes by less than `LOST`.

    singular_Ln: the singular values of each layer's matrix.
    """
    with np.errstate(divide="ignore", invalid="ignore"):  # an edit can make a matrix 0
        lost_L = np.cumsum(singular_Ln.shape[1] * ROUNDING * singular_Ln[:, 0] / singular_Ln[:, -1])
    return int((lost_L < LOST).sum())


def composite(h_res_Lnn: np.ndarray, first: int, last: int) -> tuple[np.ndarray, int]:
    """Return the product H_last ... H_first, both inclusive and counted from 0, as (scaled, exponent).

    The product is scaled * 2^exponent. The largest entry of scaled is in [1/2, 1).
    """
    assert 0 <= first <= last < len(h_res_Lnn), "not an interval of layers"
    scaled, exponents = accumulate(h_res_Lnn[first : last + 1])
    return scaled[-1], int(exponents[-1])


def _centre(n: int) -> np.ndarray:
    """Return C = I - J/n, which removes the mean over streams."""
    return np.eye(n) - np.full((n, n), 1 / n)


def list_singular_values(matrices_Knn: np.ndarray) -> np.ndarray:
    """Return the singular values of each matrix, largest first, (K, n); nan if a matrix is not finite."""
    finite = np.isfinite(matrices_Knn).all((1, 2))
    found = np.full(matrices_Knn.shape[:2], np.nan)
    found[finite] = np.linalg.svd(matrices_Knn[finite], compute_uv=False)
    return found


def accumulate(matrices_Lnn: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the products M_l = H_l ... H_1 as scaled * 2^exponent, with the largest entry of scaled in [1/2, 1).

    Further axes, (L, ..., n, n), are independent sequences, with exponents (L, ...).
    """
    scaled, exponents = np.empty_like(matrices_Lnn), np.zeros(matrices_Lnn.shape[:-2], dtype=np.int64)
    product, exponent = np.eye(matrices_Lnn.shape[-1]), np.zeros(matrices_Lnn.shape[1:-2], dtype=np.int64)
    for layer, matrix in enumerate(matrices_Lnn):
        product = matrix @ product
        # Powers of two rescale without rounding.
        shift = np.frexp(np.abs(product).max((-2, -1)))[1]
        product, exponent = np.ldexp(product, -shift[..., None, None]), exponent + shift
        scaled[layer], exponents[layer] = product, exponent
    return scaled, exponents


def unscale(scaled: np.ndarray, exponents: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return scaled * 2^exponents, inf or 0 beyond the range of float64, and the log10 of its magnitude."""
    with np.errstate(divide="ignore", over="ignore", under="ignore"):
        value = np.ldexp(scaled, exponents)
        return value, np.log10(np.abs(scaled)) + exponents * np.log10(2.0)
