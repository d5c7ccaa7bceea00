"""Define bodies of sweeps."""

from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from mhc_core.record.grid import Axis
from mhc_core.record.reduction import Reduction, to_title
from mhc_scope.api.models.links import API, to_address
from mhc_scope.services.sweep import SweepGrid
from mhc_scope.services.sweep_values import MeasuredSweep


class AxisBody(BaseModel):
    """Name a field of the spec by its dotted path, such as `connection.streams`, and list its values in order.

    A part of the spec is a field as well: `connection` takes objects.
    """

    model_config = ConfigDict(extra="forbid", strict=True)

    field: str = Field(min_length=1, max_length=80)
    values: list[Any] = Field(min_length=1)

    def to_axis(self) -> Axis:
        """Convert the axis of a sweep request to that of the services."""
        return Axis(self.field, tuple(self.values))


class SweepRequest(BaseModel):
    """Request a sweep: a base spec, and one or two fields to vary in it."""

    model_config = ConfigDict(extra="forbid", strict=True)

    spec: dict[str, Any] = Field(default_factory=dict, description="A spec as for POST /runs; {} is all defaults.")
    x: AxisBody
    y: AxisBody | None = None


class SweepLinks(BaseModel):
    """List the addresses of a sweep and its parts; a run's own address is `run` with its id."""

    self: str
    values: str
    figure: str
    run: str


class SweepBody(BaseModel):
    """Describe a sweep: run ids row by row, a row for each value of y."""

    id: str
    is_open: bool = Field(description="Whether cells are pending, waiting or computed.")
    counts: dict[str, int] = Field(description="How many runs are in which state; `held` ones are not submitted yet.")
    reasons: dict[str, str] = Field(description="Run id to why it failed.")
    x: AxisBody
    y: AxisBody | None
    ids: list[list[str]]
    links: SweepLinks

    @classmethod
    def build(cls, sweep: SweepGrid) -> "SweepBody":
        """Build the response about a sweep and its present state."""
        base, run = to_address(f"{API}/runs/sweep/{sweep.id}"), to_address(f"{API}/runs/{{id}}")
        links = SweepLinks(self=base, values=f"{base}/values", figure=f"{base}/figure", run=run)
        axes = {"x": _to_body(sweep.x), "y": None if sweep.y is None else _to_body(sweep.y)}
        kept = {name: getattr(sweep, name) for name in ("id", "is_open", "reasons", "ids")}
        return cls(**kept, **axes, counts=sweep.count(), links=links)


class SweepEstimate(BaseModel):
    """Predict the cost of a grid."""

    runs: int = Field(description="Cells without those that are the same run.")
    seconds: float = Field(description="Predicted time of all of them, one after the other.")
    workers: int = Field(description="How many the server computes at the same time.")


class MetricBody(BaseModel):
    """Describe the metric of the numbers, as in the catalogue."""

    key: str
    title: str
    unit: str
    scale: str
    meaning: str
    formula: str
    source: str


class ValuesBody(BaseModel):
    """Return one number of each cell, row by row, a row for each value of y."""

    id: str
    title: str = Field(description="Title of the number of each cell.")
    metric: MetricBody
    reduce: Reduction
    x: AxisBody
    y: AxisBody | None
    ids: list[list[str]]
    values: list[list[float | None]] = Field(description="null where the status says why.")
    log10: list[list[float | None]] = Field(description="Of metrics that span decades, known beyond float64 too.")
    status: list[list[str]] = Field(
        description="done; or of the run: held, queued, running, failed, cancelled, gone (deleted since), missing (did "
        "not exist when the view was stored); or of the number: overflow, underflow, constant (CKA of what is the "
        "same for all samples), nan, unknown (not recorded by a trace), absent (the run has none)."
    )
    reasons: dict[str, str]
    counts: dict[str, int]
    is_open: bool

    @classmethod
    def build(cls, measured: MeasuredSweep) -> "ValuesBody":
        """Build the response with the measured numbers of a sweep."""
        sweep, grid = measured.sweep, measured.grid
        metric = MetricBody(**{name: getattr(grid.metric, name) for name in MetricBody.model_fields})
        own = {name: getattr(grid, name) for name in ("values", "log10", "status")}
        whole = SweepBody.build(sweep)
        shared = {name: getattr(whole, name) for name in ("id", "x", "y", "ids", "reasons", "counts", "is_open")}
        title = to_title(grid.metric, grid.reduction)
        return cls(title=title, metric=metric, reduce=grid.reduction, **own, **shared)


def _to_body(axis: Axis) -> AxisBody:
    return AxisBody(field=axis.field, values=list(axis.values))
