"""Serve sweeps: grids of runs over one or two fields, one number per run, and the figure of these numbers."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request
from fastapi.responses import JSONResponse
from starlette.responses import Response

from mhc_core.figures.style import THEMES, ThemeName
from mhc_core.figures.sweep import build_sweep
from mhc_core.record.grid import Axis
from mhc_scope.api.bodies import parse_model, refer_to
from mhc_scope.api.contents import Responses
from mhc_scope.api.dependencies import Runner, SweepById, SweepService, Values
from mhc_scope.api.drawing import respond_figure
from mhc_scope.api.models.figures import FigureBody
from mhc_scope.api.models.links import API
from mhc_scope.api.models.sweeps import SweepBody, SweepEstimate, SweepRequest, ValuesBody
from mhc_scope.api.queries import RequestedNumber, refuse_unknown
from mhc_scope.services.sweep_values import MeasuredSweep

router = APIRouter(prefix=f"{API}/runs/sweep", tags=["sweeps"])

POST_RESPONSES: Responses = {
    202: {"description": "Accepted: cells are pending, wait or are computed"},
    200: {"description": "Known: nothing new is computed", "model": SweepBody},
}
BODY = refer_to(SweepRequest)


def _parse_sweep(body: bytes) -> tuple[dict[str, Any], Axis, Axis | None]:
    """Parse the body of a sweep request; return its base spec, its x axis and its y axis, if any."""
    wanted = parse_model(SweepRequest, body)
    return wanted.spec, wanted.x.to_axis(), None if wanted.y is None else wanted.y.to_axis()


async def find_grid(sweep: SweepById, values: Values, wanted: RequestedNumber) -> MeasuredSweep:
    """Return the numbers of a sweep for the metric and reduction in the query."""
    return await values.measure(sweep, wanted.metric, wanted.reduction)


SweepNumbers = Annotated[MeasuredSweep, Depends(find_grid)]


@router.post(
    "", status_code=202, response_model=SweepBody, responses=POST_RESPONSES, openapi_extra={"requestBody": BODY}
)
async def start_sweep(request: Request, sweeps: SweepService, client: Runner) -> Response:
    """Start a grid of runs over one or two fields: 202 while cells are to be computed, 200 if all are known.

    The server delays cells: no more are submitted than it has workers, and they count among this client's runs.
    """
    sweep = await sweeps.start(*_parse_sweep(await request.body()), client)
    body = SweepBody.build(sweep)
    return JSONResponse(body.model_dump(), 202 if sweep.is_open else 200, {"Location": body.links.self})


@router.post("/estimate", openapi_extra={"requestBody": BODY})
async def estimate_sweep(request: Request, sweeps: SweepService) -> SweepEstimate:
    """Predict the cost of a grid; refuse one that would be refused, with the same text. Starts nothing."""
    base, x, y = _parse_sweep(await request.body())
    runs, seconds = await sweeps.predict(base, x, y)
    return SweepEstimate(runs=runs, seconds=seconds, workers=request.app.state.settings.worker_count)


@router.get("/{sweep_id}")
async def get_sweep(sweep: SweepById) -> SweepBody:
    """Return the progress of a sweep. It continues after the loss of its server, and is kept as long as runs are."""
    return SweepBody.build(sweep)


@router.delete("/{sweep_id}")
async def cancel_sweep(client: Runner, sweep: SweepById, sweeps: SweepService) -> SweepBody:
    """Compute no more cells, unless another client requested the sweep too. Idempotent.

    Running runs are cancelled unless someone watches them.
    """
    return SweepBody.build(await sweeps.leave(sweep, client))


@router.get("/{sweep_id}/values")
async def get_sweep_values(measured: SweepNumbers) -> ValuesBody:
    """Return one number per cell: a metric, reduced over layers."""
    return ValuesBody.build(measured)


@router.get("/{sweep_id}/figure", response_model=FigureBody, dependencies=[Depends(refuse_unknown)])
async def get_sweep_figure(measured: SweepNumbers, theme: ThemeName = "light") -> Response:
    """Return the values of a sweep as a Plotly heatmap: `plotly.io.from_json` reads it."""
    return await respond_figure(lambda: build_sweep(measured.grid, THEMES[theme]))
