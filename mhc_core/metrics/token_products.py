"""Dynamic mixing token by token: what the mean over tokens hides.

Above all composites that are averaged last: each sample's own matrices multiplied, then the mean taken.

Shapes: K layers measured together, N samples, n streams. float64, on the device of the matrices.
"""

from collections.abc import Sequence

import numpy as np
import torch

from mhc_core.metrics.mixing import AMAX, unscale
from mhc_core.metrics.registry import Metric, declare

WAYS = {
    "fwd": ("forward", "max_i |sum_j M[i,j]|", "H_res_l[t] ... H_res_1[t]"),
    "bwd": ("backward", "max_j |sum_i M[i,j]|", "H_res_L[t] ... H_res_l[t]"),
}
SPREAD = {"min": "least", "median": "median", "mean": "mean", "max": "largest"}
NOTES = {
    "mean": " Where tokens differ it can exceed the gain of averaged matrices by decades: what tokens have apart "
    "cancels in that average, and a few tokens with large gains make this one."
}

for _way, (_title, _gain, _product) in WAYS.items():
    declare(
        Metric(f"composite_gain_{_way}_tokens", f"Composite gain, {_title}, tokens apart", "", "log", "L", "mixing",
               "The composite gain where each token's own matrices are multiplied and the products averaged; dynamic "
               "mixing only.",
               f"{_gain}, M = mean_t {_product}", AMAX, precision=(1e-5, 0.0)),
        *(
            Metric(f"composite_gain_{_way}_token_{_key}", f"Composite gain, {_title}, {_name} token", "", "log", "L",
                   "mixing", f"The {_name} over tokens of the composite gain of a token's own matrices, before "
                   f"anything is averaged; dynamic mixing only.{NOTES.get(_key, '')}",
                   f"{_key}_t {_gain}, M = {_product}", AMAX, precision=(1e-5, 0.0))
            for _key, _name in SPREAD.items()
        ),
    )  # fmt: skip

TINY = torch.finfo(torch.float64).tiny
LARGE = torch.finfo(torch.float64).max


def worst_deviation(h_res_KNnn: torch.Tensor) -> torch.Tensor:
    """ds_error_tokens (K): the largest deviation from doubly stochastic of any sample's matrix."""
    rows = (h_res_KNnn.sum(3) - 1).abs().amax((1, 2))
    columns = (h_res_KNnn.sum(2) - 1).abs().amax((1, 2))
    return torch.maximum(torch.maximum(rows, columns), -h_res_KNnn.amin((1, 2, 3)))


class TokenProducts:
    """The product over depth of every sample's matrices, grown on the way, and its gains at each layer.

    Gains are of the mean over samples, and the least, median, mean and largest of the samples' own.

    Upwards M_l = H_l ... H_1, and the gain is the largest |row sum|; downwards M_l = H_L ... H_l, the largest
    |column sum|. A sample's product is scaled * 2^exponent; nothing is copied to the host before `gains`.
    """

    def __init__(self, *, downwards: bool) -> None:
        self.downwards = downwards
        self.scaled_Nnn: torch.Tensor | None = None
        self.exponents_N: torch.Tensor | None = None
        self.found: list[tuple[torch.Tensor, ...]] = []

    def add(self, h_res_KNnn: Sequence[torch.Tensor]) -> None:
        """Multiply the next K layers, in the order in which they are met. Static matrices (n, n) are left alone."""
        if not h_res_KNnn or h_res_KNnn[0].ndim == 2:
            return
        products, exponents = zip(*(self._grow(h_res) for h_res in h_res_KNnn), strict=True)
        self.found.append(self._measure(torch.stack(products), torch.stack(exponents)))

    def gains(self) -> dict[str, tuple[np.ndarray, np.ndarray]]:
        """The metrics' keys -> value and log10, (L) each, first layer first; {} where mixing is static."""
        if not self.found:
            return {}
        parts = [torch.cat(columns).cpu().numpy() for columns in zip(*self.found, strict=True)]
        gain, exponent, spread = (part[::-1] if self.downwards else part for part in parts)
        key = f"composite_gain_{'bwd' if self.downwards else 'fwd'}_token"
        with np.errstate(over="ignore", under="ignore"):
            apart = {
                f"{key}_{name}": (np.exp2(log2), log2 * np.log10(2))
                for name, log2 in zip(SPREAD, spread.T, strict=True)
            }
        return {f"{key}s": unscale(gain, exponent), **apart}

    def _grow(self, h_res_Nnn: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        product = h_res_Nnn.double()
        if self.scaled_Nnn is not None:
            product = self.scaled_Nnn @ product if self.downwards else product @ self.scaled_Nnn
        # Never zero, so that the scale is finite; a product that is zero sinks below all others.
        largest = product.abs().amax((1, 2)).clamp_min(TINY)
        mantissa, exponent = torch.frexp(largest)
        self.scaled_Nnn = product * (mantissa / largest)[:, None, None]
        before = 0 if self.exponents_N is None else self.exponents_N
        self.exponents_N = before + exponent.long()
        return self.scaled_Nnn, self.exponents_N

    def _measure(self, scaled_KNnn: torch.Tensor, exponents_KN: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Gain of the mean over samples as scaled values and exponents (K), and log2 of the samples' own (K, 4)."""
        most = exponents_KN.amax(1)
        weights = torch.exp2((exponents_KN - most[:, None]).double()) / exponents_KN.shape[1]
        sums_KNn = scaled_KNnn.sum(2 if self.downwards else 3)
        sums_Kn = (weights[:, :, None] * sums_KNn).sum(1)
        log2_KN = sums_KNn.abs().amax(2).log2() + exponents_KN
        return sums_Kn.abs().amax(1), most, _to_spread(log2_KN)


def _to_spread(log2_KN: torch.Tensor) -> torch.Tensor:
    """log2 of least, median, mean and largest over samples (K, 4), in the order of `SPREAD`.

    Of an even number of samples the median is the geometric mean of two; the mean is that of the gains themselves.
    """
    ordered_KN = log2_KN.sort(1).values
    last = ordered_KN.shape[1] - 1
    middle_K = (ordered_KN[:, last // 2] + ordered_KN[:, last - last // 2]) / 2
    # Relative to the largest, which may be beyond float64; of products that are all zero it is -inf.
    scale_K = ordered_KN[:, last].clamp_min(-LARGE)
    mean_K = torch.exp2(log2_KN - scale_K[:, None]).mean(1).log2() + scale_K
    return torch.stack([ordered_KN[:, 0], middle_K, mean_K, ordered_KN[:, last]], 1)
