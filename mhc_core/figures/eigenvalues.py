"""Eigenvalues of mixing matrices and of their products, as `static/js/figures/eigenvalues.js` computes them."""

import math
from typing import Any

import numpy as np

from mhc_core.figures.composites import Product
from mhc_core.findings.numerals import format_fixed, format_value

RESOLVED = 1e-4  # eigenvalues below this fraction of the largest may be rounding errors
TIE = 1e-7  # real parts that differ by less count as equal in the order


def find_eigenvalues(product: Product) -> list[complex] | None:
    """Return the eigenvalues of a product that are not rounding errors, sorted by real part, largest first.

    They are scaled to factors per layer: for L layers, an eigenvalue of size r has the size r^(1/L) and the same angle.
    None if the product has no numbers.
    """
    if not np.isfinite(product.scaled).all():
        return None
    values = np.linalg.eigvals(product.scaled)
    sizes, count = np.abs(values), product.last - product.first + 1
    kept = sizes > RESOLVED * sizes.max()
    own = np.exp(np.log(sizes[kept]) / count + product.exponent * math.log(2) / count)
    return sorted(values[kept] / sizes[kept] * own, key=lambda value: (-round(value.real / TIE), -value.imag))


def to_spokes(values: list[complex], part: str) -> list[Any]:
    """Return one part of the lines from the origin to each eigenvalue, with None between two lines.

    part: real parts (`re`), imaginary parts (`im`) or texts (`text`).
    """
    found: list[Any] = []
    for value in values:
        angle = abs(math.degrees(math.atan2(value.imag, value.real)))
        text = f"size {format_value(abs(value))}, angle {format_fixed(angle, 0)}°"
        ends = {"re": (0, float(value.real)), "im": (0, float(value.imag)), "text": ("", text)}
        found += [*ends[part], None]
    return found[:-1]
