"""The data of a sweep: one number of each run of a grid."""

from dataclasses import dataclass
from typing import Any

from mhc_core.metric import Metric
from mhc_core.record.reduction import Reduction


@dataclass(frozen=True)
class Axis:
    """An axis of a sweep: the dotted path of a spec's field, and the values that it has."""

    field: str
    values: tuple[Any, ...]


@dataclass(frozen=True)
class Grid:
    """One number of one metric for each sweep cell.

    Attributes
    ----------
    x, y: columns and rows of the grid; None for y if there is one row.
    ids: run ids, row by row. The other attributes have the same shape.
    values, log10: None if there is no number; the status says why.
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
