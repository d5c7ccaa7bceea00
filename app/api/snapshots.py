"""Routes of snapshots."""

from typing import Annotated

from fastapi import APIRouter, Depends, Request
from fastapi.responses import JSONResponse
from starlette.responses import Response

from app.api.dependencies import FoundSnapshot, Service, Snapshots, SweepService, Values, find_done
from app.api.http.bodies import parse_model, refer_to
from app.api.http.contents import Responses
from app.api.http.drawing import respond_figure
from app.api.http.problems import not_found
from app.api.http.queries import AskedNumber
from app.api.models.figures import FigureBody
from app.api.models.links import API
from app.api.models.snapshots import SnapshotBody, SnapshotRequest
from app.api.models.sweeps import ValuesBody
from app.figures.panels.map import build_map
from app.figures.style import THEMES, ThemeName
from app.services.runs import Runs
from app.services.stored_sweeps import StoredSweep, from_stored, list_done, to_stored
from app.services.sweep_values import MeasuredSweep
from app.services.sweeps import Sweeps
from app.store.snapshots import SnapshotStore

router = APIRouter(prefix=API, tags=["snapshots"])

BODY = refer_to(SnapshotRequest)

POST_RESPONSES: Responses = {
    201: {"description": "The view is kept"},
    200: {"description": "Known: the same view was kept before", "model": SnapshotBody},
}


@router.post(
    "/snapshots",
    status_code=201,
    response_model=SnapshotBody,
    responses=POST_RESPONSES,
    openapi_extra={"requestBody": BODY},
)
async def create_snapshot(request: Request, service: Service, sweeps: SweepService, snapshots: Snapshots) -> Response:
    """Keep a view for good: 201 new, 200 where the same view is known. Its runs must be done."""
    view = parse_model(SnapshotRequest, await request.body())
    for run_id in view.runs:
        await find_done(service, run_id)
    await service.storage.require_space()
    sweep = None if view.sweep is None else await _find_stored(service, sweeps, snapshots, view.sweep)
    held = [] if sweep is None else list_done(sweep)
    snapshot, is_new = await snapshots.put(view.runs, view.state, view.title, view.note, sweep, held)
    body = SnapshotBody.build(snapshot)
    return JSONResponse(body.model_dump(mode="json"), 201 if is_new else 200, {"Location": body.url})


async def _find_stored(service: Runs, sweeps: Sweeps, snapshots: SnapshotStore, name: str) -> StoredSweep:
    """What is to be stored of a sweep, or what a snapshot holds of one."""
    known = sweeps.get(name)
    if known is not None:
        return await to_stored(known, service)
    snapshot = await snapshots.get(name)
    if snapshot is None or snapshot.sweep is None:
        raise not_found("sweep", name)
    return snapshot.sweep


@router.get("/snapshots/{snapshot_id}")
async def get_snapshot(snapshot: FoundSnapshot) -> SnapshotBody:
    """A stored view."""
    return SnapshotBody.build(snapshot)


async def find_stored_grid(snapshot: FoundSnapshot, values: Values, asked: AskedNumber) -> MeasuredSweep:
    """The numbers of a stored view's sweep that a query asks for."""
    if snapshot.sweep is None:
        raise not_found("sweep", snapshot.id)
    return await values.measure(from_stored(snapshot.sweep), asked.metric, asked.reduction)


StoredGrid = Annotated[MeasuredSweep, Depends(find_stored_grid)]


@router.get("/snapshots/{snapshot_id}/sweep/values")
async def get_stored_values(measured: StoredGrid) -> ValuesBody:
    """One number of each cell of the sweep that a view was stored with: a metric, reduced over layers."""
    return ValuesBody.build(measured)


@router.get("/snapshots/{snapshot_id}/sweep/figure", response_model=FigureBody)
async def get_stored_figure(measured: StoredGrid, theme: ThemeName = "light") -> Response:
    """The same as a Plotly heatmap: `plotly.io.from_json` reads it."""
    return await respond_figure(lambda: build_map(measured.grid, THEMES[theme]))
