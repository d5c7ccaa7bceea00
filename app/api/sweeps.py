"""Routes of sweeps: a grid of runs over one or two fields, one number of each cell, and the map of them."""

import asyncio
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from app.api.http.bodies import parse_model
from app.api.http.problems import Problem, not_found
from app.api.models import API
from app.api.runs import get_client
from app.figures.panels.map import build_map
from app.figures.style import THEMES, ThemeName
from app.services.sweep_values import MeasuredSweep, SweepValues
from app.services.sweeps import Sweep, Sweeps
from mhc_core.metrics import METRICS
from mhc_core.record.grid import Axis
from mhc_core.record.reduction import Reduction
from mhc_core.spec import RunSpec, SpecError

router = APIRouter(prefix=f"{API}/runs/sweep", tags=["sweeps"])


class AxisBody(BaseModel):
    """A field of the spec by its dotted path, such as `connection.streams`, and its values in order.

    A part of the spec is a field as well: `connection` takes objects.
    """

    model_config = ConfigDict(extra="forbid", strict=True)

    field: str = Field(min_length=1, max_length=80)
    values: list[Any] = Field(min_length=1)

    def to_axis(self) -> Axis:
        """As the service has it."""
        return Axis(self.field, tuple(self.values))


class SweepRequest(BaseModel):
    """A base spec, and one or two fields to vary in it."""

    model_config = ConfigDict(extra="forbid", strict=True)

    spec: dict[str, Any] = Field(default_factory=dict, description="A spec as for POST /runs; {} is all defaults.")
    x: AxisBody
    y: AxisBody | None = None


class SweepLinks(BaseModel):
    """Where the rest of a sweep is; a run's own address is `run` with its id."""

    self: str
    values: str
    figure: str
    run: str


class SweepBody(BaseModel):
    """A sweep: run ids row by row, a row for each value of y."""

    id: str
    is_open: bool = Field(description="Whether cells are held, waiting or computed.")
    counts: dict[str, int] = Field(description="How many runs are in which state; held ones have not begun.")
    reasons: dict[str, str] = Field(description="Run id to why it failed.")
    x: AxisBody
    y: AxisBody | None
    ids: list[list[str]]
    links: SweepLinks

    @classmethod
    def build(cls, sweep: Sweep) -> "SweepBody":
        """As it is now."""
        base = f"{API}/runs/sweep/{sweep.id}"
        links = SweepLinks(self=base, values=f"{base}/values", figure=f"{base}/figure", run=f"{API}/runs/{{id}}")
        axes = {"x": _to_body(sweep.x), "y": None if sweep.y is None else _to_body(sweep.y)}
        kept = {name: getattr(sweep, name) for name in ("id", "is_open", "reasons", "ids")}
        return cls(**kept, **axes, counts=sweep.count(), links=links)


class SweepEstimate(BaseModel):
    """What a grid would cost."""

    runs: int = Field(description="Cells without those that are the same run.")
    seconds: float = Field(description="Predicted time of all of them, one after the other.")
    workers: int = Field(description="How many the server computes at once.")


class MetricBody(BaseModel):
    """What the numbers are, as the catalogue says it."""

    key: str
    title: str
    unit: str
    scale: str
    meaning: str
    formula: str
    source: str


class ValuesBody(BaseModel):
    """One number of each cell, row by row, a row for each value of y."""

    id: str
    metric: MetricBody
    reduce: Reduction
    x: AxisBody
    y: AxisBody | None
    ids: list[list[str]]
    values: list[list[float | None]] = Field(description="null where the status says why.")
    log10: list[list[float | None]] = Field(description="Of metrics that span decades, known beyond float64 too.")
    status: list[list[str]] = Field(
        description="done; or of the run: held, queued, running, failed, cancelled, gone (dropped since), missing (not "
        "there yet when the view was stored); or of the number: overflow, underflow, constant (CKA of what is the same "
        "for all samples), nan, absent (the run has none)."
    )
    reasons: dict[str, str]
    counts: dict[str, int]
    is_open: bool

    @classmethod
    def build(cls, measured: MeasuredSweep) -> "ValuesBody":
        """From numbers."""
        sweep, grid = measured.sweep, measured.grid
        metric = MetricBody(**{name: getattr(grid.metric, name) for name in MetricBody.model_fields})
        own = {name: getattr(grid, name) for name in ("values", "log10", "status")}
        whole = SweepBody.build(sweep)
        shared = {name: getattr(whole, name) for name in ("id", "x", "y", "ids", "reasons", "counts", "is_open")}
        return cls(metric=metric, reduce=grid.reduction, **own, **shared)


def _to_body(axis: Axis) -> AxisBody:
    return AxisBody(field=axis.field, values=list(axis.values))


def _to_request_schema() -> dict[str, Any]:
    """The request's schema with the spec's own in place of any object."""
    schema = SweepRequest.model_json_schema()
    axis = schema.pop("$defs")["AxisBody"]
    reference = {"$ref": "#/components/schemas/RunSpec"}
    schema["properties"] |= {"spec": reference, "x": axis, "y": {"anyOf": [axis, {"type": "null"}], "default": None}}
    return schema


POST_RESPONSES: dict[int | str, dict[str, Any]] = {
    202: {"description": "Accepted: cells are held, wait or are computed"},
    200: {"description": "Known: nothing new is computed"},
}
BODY = {"content": {"application/json": {"schema": _to_request_schema()}}}


def get_sweeps(request: Request) -> Sweeps:
    """The sweeps of this app."""
    sweeps: Sweeps = request.app.state.sweeps
    return sweeps


def get_values(request: Request) -> SweepValues:
    """The numbers of this app's sweeps."""
    values: SweepValues = request.app.state.sweep_values
    return values


def _to_grid(body: bytes) -> tuple[dict[str, Any], Axis, Axis | None]:
    asked = parse_model(SweepRequest, body)
    return asked.spec, asked.x.to_axis(), None if asked.y is None else asked.y.to_axis()


def find_sweep(request: Request, sweep_id: str) -> Sweep:
    """The sweep of that id."""
    sweep = get_sweeps(request).get(sweep_id)
    if sweep is None:
        raise not_found("sweep", sweep_id)
    return sweep


@dataclass(frozen=True)
class Asked:
    """Which number of each cell."""

    metric: str
    reduction: Reduction


def get_asked(
    metric: Annotated[str, Query(max_length=80, description="A key of the metrics catalogue.")] = "composite_gain_fwd",
    reduce: Annotated[Reduction, Query(description="How a column over layers becomes one number.")] = "max",
) -> Asked:
    """The number that a query asks for."""
    if metric not in METRICS:
        error = SpecError("metric", metric, f"one of {', '.join(METRICS)}")
        raise Problem("invalid-query", 422, str(error), errors=[error])
    return Asked(metric, reduce)


async def find_grid(
    sweep: Annotated[Sweep, Depends(find_sweep)],
    values: Annotated[SweepValues, Depends(get_values)],
    asked: Annotated[Asked, Depends(get_asked)],
) -> MeasuredSweep:
    """The numbers of a sweep that a query asks for."""
    return await values.measure(sweep, asked.metric, asked.reduction)


@router.post(
    "", status_code=202, response_model=SweepBody, responses=POST_RESPONSES, openapi_extra={"requestBody": BODY}
)
async def post_sweep(request: Request, sweeps: Annotated[Sweeps, Depends(get_sweeps)]) -> Response:
    """Start a grid of runs over one or two fields: 202 while cells are to be computed, 200 where all are known.

    The server holds cells back: no more are under way than it has workers, and they count among this client's runs.
    """
    sweep = await sweeps.start(*_to_grid(await request.body()), get_client(request))
    body = SweepBody.build(sweep)
    return JSONResponse(body.model_dump(), 202 if sweep.is_open else 200, {"Location": body.links.self})


@router.post("/estimate", openapi_extra={"requestBody": BODY})
async def post_sweep_estimate(request: Request, sweeps: Annotated[Sweeps, Depends(get_sweeps)]) -> SweepEstimate:
    """What a grid would cost; one that would be refused is refused here in the same words. Starts nothing."""
    base, x, y = _to_grid(await request.body())
    runs, seconds = await sweeps.predict(base, x, y)
    return SweepEstimate(runs=runs, seconds=seconds, workers=request.app.state.settings.worker_count)


@router.get("/{sweep_id}")
async def get_sweep(sweep: Annotated[Sweep, Depends(find_sweep)]) -> SweepBody:
    """How far it is. A sweep is forgotten when the server restarts, its runs are not: POST it again and it goes on."""
    return SweepBody.build(sweep)


@router.delete("/{sweep_id}")
async def delete_sweep(
    sweep: Annotated[Sweep, Depends(find_sweep)], sweeps: Annotated[Sweeps, Depends(get_sweeps)]
) -> SweepBody:
    """Compute no more cells. Runs under way are cancelled unless someone watches them. Idempotent."""
    await sweeps.cancel(sweep)
    return SweepBody.build(sweep)


@router.get("/{sweep_id}/values")
async def get_sweep_values(measured: Annotated[MeasuredSweep, Depends(find_grid)]) -> ValuesBody:
    """One number of each cell: a metric, reduced over layers."""
    return ValuesBody.build(measured)


@router.get("/{sweep_id}/figure", response_class=Response)
async def get_sweep_figure(
    measured: Annotated[MeasuredSweep, Depends(find_grid)], theme: ThemeName = "light"
) -> Response:
    """The same as a Plotly heatmap: `plotly.io.from_json` reads it."""
    return await draw_map(measured, theme)


async def draw_map(measured: MeasuredSweep, theme: ThemeName) -> Response:
    """The map as figure JSON."""
    drawn = await asyncio.to_thread(
        lambda: str(build_map(measured.grid, titles_of(measured.sweep), THEMES[theme]).to_json())
    )
    return Response(drawn.encode(), media_type="application/json")


def titles_of(sweep: Sweep) -> tuple[str, str]:
    """The titles of the swept fields, as the schema has them."""
    names = (sweep.x.field, "" if sweep.y is None else sweep.y.field)
    return _title_of(names[0]), _title_of(names[1])


def _title_of(path: str) -> str:
    part: Any = RunSpec
    title = ""
    for name in filter(None, path.split(".")):
        found = part.model_fields[name]
        title, part = found.title or name, found.annotation
    return title
