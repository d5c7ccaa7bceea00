"""Routes of snapshots."""

from typing import Annotated

from fastapi import APIRouter, Depends, Request
from fastapi.responses import JSONResponse
from starlette.responses import Response

from app.api.http.bodies import parse_model
from app.api.http.problems import not_found
from app.api.models import API, SnapshotBody, SnapshotRequest
from app.api.runs import Service, find_done
from app.api.sweeps import Asked, ValuesBody, draw_map, get_asked, get_sweeps, get_values
from app.figures.style import ThemeName
from app.services.runs import Runs
from app.services.stored_sweeps import StoredSweep, from_stored, list_done, to_stored
from app.services.sweep_values import MeasuredSweep, SweepValues
from app.store.snapshots import Snapshot, SnapshotStore

router = APIRouter(prefix=API, tags=["snapshots"])

BODY = {"content": {"application/json": {"schema": SnapshotRequest.model_json_schema()}}}


async def find_snapshot(request: Request, snapshot_id: str) -> Snapshot:
    """The snapshot of that id."""
    store: SnapshotStore = request.app.state.snapshots
    snapshot = await store.get(snapshot_id)
    if snapshot is None:
        raise not_found("snapshot", snapshot_id)
    return snapshot


@router.post("/snapshots", status_code=201, response_model=SnapshotBody, openapi_extra={"requestBody": BODY})
async def post_snapshot(request: Request, service: Service) -> Response:
    """Keep a view for good: 201 new, 200 where the same view is known. Its runs must be done."""
    view = parse_model(SnapshotRequest, await request.body())
    for run_id in view.runs:
        await find_done(service, run_id)
    store: SnapshotStore = request.app.state.snapshots
    sweep = None if view.sweep is None else await _find_stored(request, service, view.sweep)
    held = [] if sweep is None else list_done(sweep)
    snapshot, is_new = await store.put(view.runs, view.state, view.title, view.note, sweep, held)
    body = SnapshotBody.build(snapshot)
    return JSONResponse(body.model_dump(mode="json"), 201 if is_new else 200, {"Location": body.url})


async def _find_stored(request: Request, service: Runs, name: str) -> StoredSweep:
    """What is to be stored of a sweep, or what a snapshot holds of one."""
    known = get_sweeps(request).get(name)
    if known is not None:
        return await to_stored(known, service)
    snapshot = await request.app.state.snapshots.get(name)
    if snapshot is None or snapshot.sweep is None:
        raise not_found("sweep", name)
    stored: StoredSweep = snapshot.sweep
    return stored


@router.get("/snapshots/{snapshot_id}")
async def get_snapshot(request: Request, snapshot_id: str) -> SnapshotBody:
    """A stored view."""
    return SnapshotBody.build(await find_snapshot(request, snapshot_id))


async def find_stored_grid(
    request: Request,
    snapshot_id: str,
    values: Annotated[SweepValues, Depends(get_values)],
    asked: Annotated[Asked, Depends(get_asked)],
) -> MeasuredSweep:
    """The numbers of a stored view's sweep that a query asks for."""
    snapshot = await find_snapshot(request, snapshot_id)
    if snapshot.sweep is None:
        raise not_found("sweep", snapshot_id)
    return await values.measure(from_stored(snapshot.sweep), asked.metric, asked.reduction)


@router.get("/snapshots/{snapshot_id}/sweep/values")
async def get_stored_values(measured: Annotated[MeasuredSweep, Depends(find_stored_grid)]) -> ValuesBody:
    """One number of each cell of the sweep that a view was stored with: a metric, reduced over layers."""
    return ValuesBody.build(measured)


@router.get("/snapshots/{snapshot_id}/sweep/figure", response_class=Response)
async def get_stored_figure(
    measured: Annotated[MeasuredSweep, Depends(find_stored_grid)], theme: ThemeName = "light"
) -> Response:
    """The same as a Plotly heatmap: `plotly.io.from_json` reads it."""
    return await draw_map(measured, theme)
