"""Reduces a column of a run to one number, such as the largest gain, the last loss, or the median similarity."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np

from mhc_core.metric import Metric
from mhc_core.metrics import METRICS
from mhc_core.record.result import Result

Reduction = Literal["max", "min", "median", "first", "last"]
REDUCTIONS: tuple[Reduction, ...] = get_args(Reduction)

WORSE = ("underflow", "overflow", "constant", "unknown", "nan")
# Similarity matrices. Their diagonals, the similarity of something to itself, are left out.
REFLEXIVE = ("cka", "step_cka", "stream_cosines")


_PLACES: dict[Reduction, str] = {
    "max": "largest over {}s",
    "min": "least over {}s",
    "median": "median over {}s",
    "first": "first {}",
    "last": "last {}",
}


def to_title(metric: Metric, reduction: Reduction) -> str:
    """Return the title of a reduced metric, such as `Gradient, first layer`."""
    unit = "step" if metric.table in ("steps", "kept") else "layer"
    return f"{metric.title}, {_PLACES[reduction].format(unit)}"


@dataclass(frozen=True)
class ReducedNumber:
    """A column reduced to one number.

    Attributes
    ----------
    value: None if it is beyond the range of float64 or not known.
    log10: for metrics that span decades, also known if the value is beyond its range; None for 0.
    status: "finite", "overflow", "underflow", "constant", "nan" or "unknown"; "absent" if the run has no such number.
    """

    value: float | None
    log10: float | None
    status: str


ABSENT = ReducedNumber(None, None, "absent")


def reduce_metric(result: Result, key: str, reduction: Reduction) -> ReducedNumber:
    """Reduce a metric of a run to one number: its value at an end, its extreme, or its median.

    `first` and `last` use the first and last entry along the first axis (layers, or training steps), and the median
    over other axes. Other reductions use all entries. Metrics that span decades are reduced as logarithms, so that
    magnitudes beyond the range of float64 count as well. The result is `absent` if there is no number. If an entry
    without a number could change the result, the result has the status of this entry.
    """
    column = _find_column(result, key)
    if column is None:
        return ABSENT
    values, log10, flags = column
    if reduction in ("first", "last"):
        place = 0 if reduction == "first" else len(values) - 1
        values, log10 = values[place], None if log10 is None else log10[place]
        flags = {place: flags[place]} if place in flags else {}
    if status := _decide(set(flags.values()), reduction, log10):
        return ReducedNumber(None, None, status)
    # An exact 0 has no logarithm in records.
    numbers = values if log10 is None else np.where(values == 0, -np.inf, log10)
    known = ~np.isnan(numbers)
    if not known.any():
        return ABSENT
    numbers, values = np.atleast_1d(numbers)[np.atleast_1d(known)], np.atleast_1d(values)[np.atleast_1d(known)]
    if reduction in ("max", "min") or numbers.size == 1:
        place = int(np.argmin(numbers) if reduction == "min" else np.argmax(numbers))
        return _to_reduced(numbers[place], values[place], log10 is not None)
    middle = float(np.median(numbers))
    with np.errstate(over="ignore", under="ignore"):
        return _to_reduced(middle, middle if log10 is None else np.power(10.0, middle), log10 is not None)


def _to_reduced(number: float, value: float, is_log: bool) -> ReducedNumber:
    """Build the reduced number from an entry on the metric's scale, `number`, and the value itself, which is nan if it
    is beyond its type.
    """
    if not is_log:
        return ReducedNumber(float(value), None, "finite")
    if np.isneginf(number):
        return ReducedNumber(0.0, None, "finite")
    if not np.isfinite(value) or value == 0:
        return ReducedNumber(None, float(number), "overflow" if number > 0 else "underflow")
    return ReducedNumber(float(value), float(number), "finite")


def _find_column(result: Result, key: str) -> tuple[np.ndarray, np.ndarray | None, dict[int, str]] | None:
    """Return the values, logarithms and statuses (by entry along the first axis) of a metric; None if the run does not
    have it.
    """
    metric = METRICS[key]
    values: Mapping[str, Any] = result.layers
    log10: Mapping[str, Any] = {}
    status: dict[str, Any] = result.status
    if metric.table == "steps":
        values, log10, status = result.steps, result.steps_log10, result.steps_status
    elif metric.table == "jacobian":
        if result.jacobian is None:
            return None
        values, log10 = result.jacobian.values, result.jacobian.log10
        status = {name: {0: flag} for name, flag in result.jacobian.status.items()}
    elif metric.table == "layers":
        log10 = result.layers_log10
    elif metric.table == "kept":
        places, values = {step: place for place, step in enumerate(result.kept_steps)}, result.kept
        status = {key: {places[step]: flags for step, flags in result.steps_status.get(key, {}).items()}}
    else:
        values = result.matrices
    if key not in values:
        return None
    found = np.atleast_1d(np.asarray(values[key], dtype=np.float64))
    if key in REFLEXIVE:
        found = np.where(np.eye(found.shape[-1], dtype=bool), np.nan, found)
    logs = np.atleast_1d(np.asarray(log10[key], dtype=np.float64)) if key in log10 else None
    if metric.table == "kept" and metric.scale == "log":  # records have no logarithms for kept steps
        logs = log10_of(found)
    return found, logs, {place: _to_worst(flags) for place, flags in status.get(key, {}).items()}


def log10_of(magnitude: np.ndarray) -> np.ndarray:
    """Return log10 of magnitudes; nan for 0 and for nan."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(magnitude > 0, np.log10(magnitude), np.nan)


def _to_worst(flags: str | dict[int, str]) -> str:
    """Return the status of one entry; for a step with one status per layer, the worst of them."""
    return flags if isinstance(flags, str) else max(flags.values(), key=WORSE.index)


def _decide(flags: set[str], reduction: Reduction, log10: np.ndarray | None) -> str | None:
    """Return the status that replaces a reduced number, or None if the known entries decide the number."""
    for flag in ("nan", "unknown", "constant"):
        if flag in flags:
            return flag
    if log10 is not None and np.isfinite(log10).any() and not np.isnan(log10).any():
        return None  # every entry is known by its logarithm
    if "overflow" in flags and reduction != "min":
        return "overflow"
    return "underflow" if "underflow" in flags and reduction != "max" else None
