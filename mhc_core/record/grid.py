"""One number of every run of a grid: what a sweep shows."""

from dataclasses import dataclass
from typing import Any

from mhc_core.metric import Metric
from mhc_core.record.reduction import Reduction


@dataclass(frozen=True)
class Axis:
    """A field of the spec by its dotted path, and the values that it takes."""

    field: str
    values: tuple[Any, ...]


@dataclass(frozen=True)
class Grid:
    """One metric of every cell, row by row.

    Attributes
    ----------
    x, y: columns and rows of the grid; one row without y.
    ids: run ids, row by row; so are the following.
    values, log10: None if the status says why.
    status: `done`, or why there is no number.
    """

    metric: Metric
    reduction: Reduction
    x: Axis
    y: Axis | None
    ids: list[list[str]]
    values: list[list[float | None]]
    log10: list[list[float | None]]
    status: list[list[str]]
