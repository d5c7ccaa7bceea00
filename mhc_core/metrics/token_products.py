"""Metrics of dynamic mixing for single tokens, which the mean over tokens hides.

Most are composite gains in which each sample's own matrices are multiplied before samples are averaged.

Shapes: K layers measured together, N samples, n streams. float64, on the device of the matrices.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from mhc_core.metric import Metric
from mhc_core.metrics.mixing import AMAX, unscale

if TYPE_CHECKING:
    import torch

WAYS = {
    "fwd": ("forward", "max_i |sum_j M[i,j]|", "H_res_l[t] ... H_res_1[t]"),
    "bwd": ("backward", "max_j |sum_i M[i,j]|", "H_res_L[t] ... H_res_l[t]"),
}

SPREAD = {"min": "least", "median": "median", "mean": "mean", "max": "largest"}

NOTES = {
    "mean": " Where tokens differ it can exceed the gain of averaged matrices by decades: what tokens have apart "
    "cancels in that average, and a few tokens with large gains make this one."
}

METRICS = (
    *(
        metric
        for _way, (_title, _gain, _product) in WAYS.items()
        for metric in (
            Metric(f"composite_gain_{_way}_tokens", f"Gain, {_title}, tokens apart", "", "log", "L", "mixing",
                   "The composite gain where each token's own matrices are multiplied and the products averaged; "
                   "dynamic mixing only.",
                   f"{_gain}, M = mean_t {_product}", AMAX, precision=(1e-5, 0.0), prefix=_way == "fwd"),
            *(
                Metric(f"composite_gain_{_way}_token_{_key}", f"Gain, {_title}, {_name} token", "", "log",
                       "L", "mixing", f"The {_name} over tokens of the composite gain of a token's own matrices, "
                       f"before anything is averaged; dynamic mixing only.{NOTES.get(_key, '')}",
                       f"{_key}_t {_gain}, M = {_product}", AMAX, precision=(1e-5, 0.0), prefix=_way == "fwd")
                for _key, _name in SPREAD.items()
            ),
        )
    ),
)  # fmt: skip

PARTS = ("gain", "exponent", "spread")  # names of the measurements of a product
TINY = np.finfo(np.float64).tiny
LARGE = np.finfo(np.float64).max


def worst_deviation(h_res_KNnn: torch.Tensor) -> torch.Tensor:
    """Return ds_error_tokens (K): the largest deviation from doubly stochastic of any sample's matrix."""
    import torch

    rows = (h_res_KNnn.sum(3) - 1).abs().amax((1, 2))
    columns = (h_res_KNnn.sum(2) - 1).abs().amax((1, 2))
    return torch.maximum(torch.maximum(rows, columns), -h_res_KNnn.amin((1, 2, 3)))


class TokenProducts:
    """Accumulates the product over depth of each sample's matrices, and measures its gains at each layer.

    The gains are that of the mean over samples, and the least, median, mean and largest of single samples.

    Forward, M_l = H_l ... H_1, and the gain is the largest |row sum|; backward (`downwards`), M_l = H_L ... H_l, and
    the gain is the largest |column sum|. A sample's product is stored as scaled * 2^exponent. Nothing is copied to the
    host.

    together: number of layers that are multiplied by one set of calls, at most some dozens, because a product is not
        rescaled within them and grows by a factor of up to n per layer.
    """

    def __init__(self, *, downwards: bool, together: int) -> None:
        self.downwards, self.together = downwards, together
        self.waiting: list[torch.Tensor] = []
        self.scaled_Nnn: torch.Tensor | None = None
        self.exponents_N: torch.Tensor | None = None
        self.found: list[tuple[torch.Tensor, ...]] = []

    def add(self, h_res_KNnn: Sequence[torch.Tensor]) -> None:
        """Add the matrices of the next K layers for each sample, and multiply them when `together` layers wait.

        Static matrices (n, n) are ignored.
        """
        self.waiting += [h_res_Nnn for h_res_Nnn in h_res_KNnn if h_res_Nnn.ndim == 3]
        while len(self.waiting) >= self.together:
            self._multiply_waiting()

    def _multiply_waiting(self) -> None:
        """Multiply the products by the matrices of at most `together` layers, and measure them."""
        import torch

        taken, self.waiting = self.waiting[: self.together], self.waiting[self.together :]
        factors_KNnn, exponents_KN = _rescale(torch.stack(taken).double())
        products_KNnn, shifts_KN = _rescale(self._multiply(factors_KNnn))
        sums_KN = exponents_KN.cumsum(0)
        sums_KN = sums_KN if self.exponents_N is None else sums_KN + self.exponents_N
        exponents_KN = sums_KN + shifts_KN
        self.scaled_Nnn, self.exponents_N = products_KNnn[-1], exponents_KN[-1]
        self.found.append(self._measure(products_KNnn, exponents_KN))

    def columns(self) -> dict[str, torch.Tensor]:
        """Return the accumulated gains of samples' products on the device, for `to_gains`; {} if mixing is static."""
        import torch

        if self.waiting:
            self._multiply_waiting()
        if not self.found:
            return {}
        parts = [torch.cat(columns) for columns in zip(*self.found, strict=True)]
        ordered = [part.flip(0) if self.downwards else part for part in parts]
        way = "bwd" if self.downwards else "fwd"
        return {f"{way}_{part}": column for part, column in zip(PARTS, ordered, strict=True)}

    def _multiply(self, factors_KNnn: torch.Tensor) -> torch.Tensor:
        """Return the product up to each of K layers, (K, N, n, n)."""
        import torch

        products_KNnn = torch.empty_like(factors_KNnn)
        before = self.scaled_Nnn
        for factor_Nnn, product_Nnn in zip(factors_KNnn.unbind(), products_KNnn.unbind(), strict=True):
            if before is None:
                product_Nnn.copy_(factor_Nnn)
            else:
                left, right = (before, factor_Nnn) if self.downwards else (factor_Nnn, before)
                torch.bmm(left, right, out=product_Nnn)
            before = product_Nnn
        return products_KNnn

    def _measure(self, scaled_KNnn: torch.Tensor, exponents_KN: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Return the gain of the mean over samples, scaled, its exponents, (K) each, and log2 of statistics of the
        samples' own gains, (K, 4).
        """
        import torch

        most = exponents_KN.amax(1)
        weights = torch.exp2((exponents_KN - most[:, None]).double()) / exponents_KN.shape[1]
        sums_KNn = scaled_KNnn.sum(2 if self.downwards else 3)
        sums_Kn = (weights[:, :, None] * sums_KNn).sum(1)
        log2_KN = sums_KNn.abs().amax(2).log2() + exponents_KN
        return sums_Kn.abs().amax(1), most, _to_spread(log2_KN)


def to_gains(columns: Mapping[str, np.ndarray]) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Convert columns of `TokenProducts`, of one direction or both, to metrics: key -> (value, log10), (L) each."""
    gains = {}
    for way in (way for way in WAYS if f"{way}_{PARTS[0]}" in columns):
        gain, exponent, spread = (columns[f"{way}_{part}"] for part in PARTS)
        key = f"composite_gain_{way}_token"
        gains[f"{key}s"] = unscale(gain, exponent.astype(np.int64))
        with np.errstate(over="ignore", under="ignore"):
            for name, log2 in zip(SPREAD, spread.T, strict=True):
                gains[f"{key}_{name}"] = np.exp2(log2), log2 * np.log10(2)
    return gains


def _rescale(matrices_KNnn: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Rescale matrices in place to scaled * 2^exponent, (K, N, n, n) and (K, N), with the largest entry of scaled in
    [1/2, 1).
    """
    import torch

    # Not as a maximum of magnitudes, which would need as much memory again.
    largest_KN = torch.maximum(matrices_KNnn.amax((2, 3)), -matrices_KNnn.amin((2, 3)))
    # Never 0, so that the scale is finite. A product of 0 ranks below all others.
    largest_KN = largest_KN.clamp_min(TINY)
    mantissa_KN, exponent_KN = torch.frexp(largest_KN)
    # The factor is a power of two, which rescales without rounding.
    return matrices_KNnn.mul_((mantissa_KN / largest_KN)[:, :, None, None]), exponent_KN.long()


def _to_spread(log2_KN: torch.Tensor) -> torch.Tensor:
    """Return log2 of the least, median, mean and largest gain over samples, (K, 4), in the order of `SPREAD`.

    For an even number of samples, the median is the geometric mean of the middle two. The mean is that of the gains,
    not of their logarithms.
    """
    import torch

    ordered_KN = log2_KN.sort(1).values
    last = ordered_KN.shape[1] - 1
    middle_K = (ordered_KN[:, last // 2] + ordered_KN[:, last - last // 2]) / 2
    # Relative to the largest, which may be beyond the range of float64. If all products are 0, it is -inf.
    scale_K = ordered_KN[:, last].clamp_min(-LARGE)
    mean_K = torch.exp2(log2_KN - scale_K[:, None]).mean(1).log2() + scale_K
    return torch.stack([ordered_KN[:, 0], middle_K, mean_K, ordered_KN[:, last]], 1)
