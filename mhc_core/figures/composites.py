"""Products of the mixing of neighbouring layers for figures, as in `static/js/figures/composites.js`.

A span is the text for a range of layers: `first-cursor`, `cursor-last`, `3-17`, counted from 1 with both ends included.
Products are computed in float64 and stored as scaled x 2^exponent, so that products of many layers do not overflow.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from mhc_core.findings.numerals import UNKNOWN, format_fixed, format_power, format_scaled, say_status
from mhc_core.metrics.mixing import composite

LARGE_LOG10 = 15.0  # for larger log10 |w|, 1 + |w| is |w| in float64
UNRESOLVED = 1e-12  # a sum below this fraction of the largest entry is only rounding error
MIN_SHOWN = 0.005  # rounds to 0.01 with two decimals
MAX_SHOWN_LOG10 = 4.0


@dataclass(frozen=True)
class Product:
    """The product H_last ... H_first = scaled x 2^exponent, with the largest entry of scaled in [1/2, 1).

    lost: why there is no number if scaled has none: `nan`, or `unknown` if a matrix was not recorded.
    """

    first: int
    last: int
    scaled: np.ndarray
    exponent: int
    lost: str = "nan"

    @property
    def row_sums(self) -> np.ndarray:
        """Return the row sums of the scaled matrix; sums below the rounding error are 0."""
        return _drop_rounding(self.scaled.sum(1))

    @property
    def col_sums(self) -> np.ndarray:
        """Return the column sums of the scaled matrix; sums below the rounding error are 0."""
        return _drop_rounding(self.scaled.sum(0))


def to_span(span: str, cursor: int, layers: int) -> tuple[int, int]:
    """Convert a span to its first and last layer, from 0, limited to a run's depth."""
    named = {"first": 1, "last": layers, "cursor": cursor + 1}
    first, last = (min(named.get(end) or int(end), layers) - 1 for end in span.split("-"))
    return first, last


def lies_beyond(span: str, layers: int) -> bool:
    """Return whether a span with a number begins after the last layer of a run with `layers` layers."""
    first, _ = span.split("-")
    return first.isdigit() and int(first) > layers


def multiply(stack: np.ndarray, span: str, cursor: int, status: Mapping[int, str] | None = None) -> Product:
    """Return the product of a span of matrices (L, n, n). `status` is that of matrices without numbers, by layer."""
    first, last = to_span(span, cursor, len(stack))
    scaled, exponent = composite(np.asarray(stack, dtype=np.float64), first, last)
    flags = {flag for layer, flag in (status or {}).items() if first <= layer <= last}
    return Product(first, last, scaled, exponent, "unknown" if flags == {"unknown"} else "nan")


def to_signed_logs(product: Product) -> np.ndarray:
    """Return the entries w of a product as sign(w) log10(1 + |w|), also beyond the range of float64."""
    with np.errstate(divide="ignore", over="ignore", under="ignore"):
        log10 = np.log10(np.abs(product.scaled)) + product.exponent * math.log10(2)
        sizes = np.where(log10 < LARGE_LOG10, np.log1p(10.0 ** np.minimum(log10, LARGE_LOG10)) / math.log(10), log10)
    return np.asarray(np.sign(product.scaled) * sizes)


def to_power(product: Product) -> int:
    """Return the power of ten as a multiple of which a product's numbers are shown: 0 if two decimals are enough."""
    largest = float(np.abs(product.scaled).max())
    if not math.isfinite(largest) or largest == 0:
        return 0
    log10 = math.log10(largest) + product.exponent * math.log10(2)
    return 0 if math.log10(MIN_SHOWN) <= log10 < MAX_SHOWN_LOG10 else math.floor(log10)


def to_cell_texts(product: Product) -> list[list[str]]:
    """Format the entries of a product as texts in the matrix, as multiples of the product's power of ten."""
    return [to_texts(product, row) for row in product.scaled]


def to_texts(product: Product, scaled: np.ndarray) -> list[str]:
    """Format entries or sums of a product as texts, as multiples of the product's power of ten."""
    power = to_power(product)
    return [_to_text(float(value), product, power) for value in scaled]


def _to_text(scaled: float, product: Product, power: int) -> str:
    """Format one entry or sum of a product as a multiple of its power of ten; a short status if it is not finite."""
    if not math.isfinite(scaled):
        return UNKNOWN if product.lost == "unknown" else product.lost  # there is no room for words
    if abs(scaled) < UNRESOLVED:
        return format_fixed(0.0, 2)
    size = 10 ** (math.log10(abs(scaled)) + product.exponent * math.log10(2) - power)
    return format_fixed(math.copysign(size, scaled), 2 if size < 10 else 1 if size < 100 else 0)


def to_label(product: Product, label: str) -> str:
    """Return a run's label, with the power of ten of its product if that is not 0."""
    power = to_power(product)
    return f"{label} {format_power(power)}" if power else label


def to_gains(product: Product) -> tuple[str, str]:
    """Return the Amax gains of a product as texts: the largest |row sum| (forward) and |column sum| (backward)."""
    forward, backward = (_to_gain(product, sums) for sums in (product.row_sums, product.col_sums))
    return forward, backward


def _to_gain(product: Product, sums: np.ndarray) -> str:
    """Format the largest |sum| of a product, or why it is not known."""
    largest = float(np.abs(sums).max())
    return format_scaled(largest, product.exponent) if math.isfinite(largest) else say_status(product.lost)


def to_title(product: Product) -> str:
    """Return the text below a product: its gains."""
    forward, backward = to_gains(product)
    return f"gain → {forward}<br>gain ← {backward}"


def set_interval(template: dict[str, Any], first: int, last: int) -> None:
    """Set the first and last layer, from 0, that a template shows and multiplies, in place. By default it is all."""
    template["layout"]["meta"]["interval"] = [first, last]
    for trace in template["data"]:
        fill = trace["meta"]["fill"]
        for attribute, source in fill.items():
            if source.startswith("product"):
                fill[attribute] = source.replace(".first-", f".{first + 1}-").replace("-last.", f"-{last + 1}.")


def _drop_rounding(sums: np.ndarray) -> np.ndarray:
    return np.where(np.abs(sums) < UNRESOLVED, 0.0, sums)
