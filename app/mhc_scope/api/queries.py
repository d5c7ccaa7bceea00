"""Parse query parameters that several routes share."""

from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Query, Request, params
from fastapi.dependencies.utils import get_flat_params

from mhc_core.metrics import METRICS
from mhc_core.record.reduction import Reduction
from mhc_scope.api.problems import invalid_query

LayerIndex = Annotated[int | None, Query(description="A layer, from 0 and inclusive.")]


@dataclass(frozen=True)
class CellMetric:
    """A metric, and how it is reduced to one number for each run of a sweep."""

    metric: str
    reduction: Reduction


def get_cell_metric(
    metric: Annotated[str, Query(max_length=80, description="A key of the metrics catalogue.")] = "composite_gain_fwd",
    reduce: Annotated[Reduction, Query(description="How a column over layers becomes one number.")] = "max",
) -> CellMetric:
    """Return the metric and the reduction in a query for values of a sweep."""
    if metric not in METRICS:
        raise invalid_query("metric", metric, f"one of {', '.join(METRICS)}")
    return CellMetric(metric, reduce)


def refuse_unknown(request: Request) -> None:
    """Refuse a query parameter that the route does not have. If it were ignored, another figure would be drawn."""
    fields = get_flat_params(request.scope["route"].dependant)
    known = [field.alias for field in fields if isinstance(field.field_info, params.Query)]
    for name, value in request.query_params.items():
        if name not in known:
            raise invalid_query(name, value, f"one of the parameters {', '.join(known)}" if known else "no parameter")


RequestedNumber = Annotated[CellMetric, Depends(get_cell_metric)]


def check_interval(first: int | None, last: int | None, layers: int) -> tuple[int, int]:
    """Return the first and last layer of an interval in a query, by default of all layers; refuse invalid ones."""
    start, end = 0 if first is None else first, layers - 1 if last is None else last
    if not 0 <= end < layers:
        raise invalid_query("last", end, f"0 to {layers - 1}")
    if not 0 <= start <= end:
        raise invalid_query("first", start, f"0 to {end}, the last layer of the interval")
    return start, end
