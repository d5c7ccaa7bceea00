"""Numbers as findings say them, and what a finding is made of."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from mhc_core.findings.numerals import format_value
from mhc_core.record.result import Result
from mhc_core.record.summary import Finding

MAX_DECADES = 308  # of float64
NO_NUMBER = "not a number"


def build_finding(key: str, text: str, panel: str, numbers: Mapping[str, float | int | None]) -> Finding:
    """One finding; `key` names its kind, `panel` the panel that shows it, `numbers` what its sentence says."""
    return Finding(key=key, text=text, panel=panel, numbers=dict(numbers))


def find_largest(result: Result, key: str) -> float:
    """Largest log10 over depth; -inf where the column is zero throughout, nan where no layer has a value."""
    log = result.layers_log10[key]
    if np.isfinite(log).any():
        return float(np.nanmax(log))
    return float("nan") if key in result.status else float("-inf")


def to_finite(value: Any) -> float | None:
    """A number as it travels in JSON: None where it is not finite."""
    return float(value) if value is not None and np.isfinite(value) else None


def count(number: int, noun: str) -> str:
    """ "1 layer", "64 layers"; matrices in plural are said to be multiplied."""
    if number == 1:
        return f"1 {noun}"
    return f"{number} {noun[:-1]}ces multiplied" if noun.endswith("matrix") else f"{number} {noun}s"


def format_magnitude(log10: float) -> str:
    """A magnitude as people write it, from its logarithm."""
    if np.isnan(log10):
        return NO_NUMBER
    if log10 == -np.inf:
        return "0"
    value = 10.0**log10 if abs(log10) < MAX_DECADES else None
    if value is not None and abs(value - 1) < 0.0995:
        return f"{value:.3f}" if abs(value - 1) > 5e-4 else "1.00"
    return format_value(value, log10, digits=3)


def format_number(value: float) -> str:
    """A number as people write it."""
    return format_value(value, status=NO_NUMBER, digits=3)
