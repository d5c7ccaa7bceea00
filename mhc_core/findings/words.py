"""Helpers of findings: building a finding, reading columns, and formatting numbers for sentences."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from mhc_core.findings.numerals import format_fixed, format_value
from mhc_core.record.result import Result
from mhc_core.record.summary import Finding

MAX_DECADES = 308  # range of float64
NO_NUMBER, OVERFLOW = "not a number", "beyond all numbers"


def build_finding(key: str, text: str, panel: str, numbers: Mapping[str, float | int | None]) -> Finding:
    """Build one finding. `key` is its kind, `panel` the panel that shows it, `numbers` are those of its sentence."""
    return Finding(key=key, text=text, panel=panel, numbers=dict(numbers))


def read_ranks(result: Result, key: str) -> np.ndarray:
    """Return log10 of a column of one pass, (L): -inf for 0, nan if value and log10 are unknown."""
    log = result.layers_log10[key].astype(np.float64)
    return np.where(np.isnan(log) & (result.layers[key] == 0), -np.inf, log)


def find_largest(result: Result, key: str) -> float:
    """Return the largest log10 of a column over depth, -inf if all values are 0; nan if a layer is unknown."""
    return float(read_ranks(result, key).max())


def read_logs(result: Result, key: str) -> np.ndarray:
    """Return log10 of a column, (L); for several seeds, the median."""
    return result.bands[key]["p50"] if key in result.bands else result.layers_log10[key]


def is_dynamic(result: Result) -> bool:
    """Return whether mixing is dynamic. A record then has mean and spread over tokens."""
    return "h_res_std" in result.matrices


def name_median(result: Result, known: int | None = None) -> str:
    """Return the end of a sentence whose numbers are medians over seeds; "" for one seed.

    known: number of seeds whose value is known, by default all.
    """
    if result.seeds is None:
        return ""
    seeds = result.seeds.seeds
    counted = str(seeds) if known in (None, seeds) else f"{known} of {seeds}"
    return f" in the median of {counted} seeds"


def to_finite(value: Any) -> float | None:
    """Return a number for JSON: None if it is not finite."""
    return float(value) if value is not None and np.isfinite(value) else None


def count(number: int, noun: str) -> str:
    """Format a number with its noun, such as "1 layer" or "64 layers"."""
    return f"1 {noun}" if number == 1 else f"{number} {noun}s"


def format_magnitude(log10: float | np.floating[Any]) -> str:
    """Format a magnitude as a text for people, from its log10."""
    log10 = float(log10)  # because a power of a float32 would overflow at 10^38
    if np.isnan(log10):
        return NO_NUMBER
    if np.isinf(log10):
        return OVERFLOW if log10 > 0 else "0"
    value = 10.0**log10 if abs(log10) < MAX_DECADES else None
    if value is not None and abs(value - 1) < 0.0995:
        return f"{value:.3f}" if abs(value - 1) > 5e-4 else "1.00"
    return format_value(value, log10, digits=3)


def format_percent(share: float) -> str:
    """Format a share from 0 to 1 in percent, for a sentence."""
    return f"{format_number(100 * share)} %"


def format_number(value: float) -> str:
    """Format a number as a text for people, in a few digits."""
    return format_value(value, status=NO_NUMBER, digits=3)


def format_loss(value: float, decimals: int = 3) -> str:
    """Format a loss for people: with this number of decimals, or as a power of ten if it is very small or large."""
    if 10.0**-decimals <= abs(value) < 1e5:
        return format_fixed(value, decimals)
    return format_value(value, status="not a finite number")
