"""Serve snapshots: store, list, show and delete views."""

from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import JSONResponse
from starlette.responses import Response

from mhc_core.figures.style import THEMES, ThemeName
from mhc_core.figures.sweep import build_sweep
from mhc_scope import limits
from mhc_scope.api.bodies import parse_model, refer_to
from mhc_scope.api.contents import Responses
from mhc_scope.api.credentials import BROWSER, KEY, TOKEN, require
from mhc_scope.api.dependencies import (
    Client,
    InstalledPolicy,
    KeyHolder,
    OwnerKey,
    Runner,
    Service,
    SnapshotById,
    Snapshots,
    SweepService,
    Values,
    find_done,
)
from mhc_scope.api.drawing import respond_figure
from mhc_scope.api.models.figures import FigureBody
from mhc_scope.api.models.links import API
from mhc_scope.api.models.snapshots import DeletedBody, NewSnapshotBody, OwnSnapshotBody, SnapshotBody, SnapshotRequest
from mhc_scope.api.models.sweeps import ValuesBody
from mhc_scope.api.problems import not_found
from mhc_scope.api.queries import RequestedNumber, refuse_unknown
from mhc_scope.services.ownership import new_owner_key, require_owner, to_owner
from mhc_scope.services.runs import Runs
from mhc_scope.services.sweep import StoredSweep, SweepGrid
from mhc_scope.services.sweep_values import MeasuredSweep
from mhc_scope.services.sweeps import Sweeps
from mhc_scope.store.snapshots import SnapshotStore

router = APIRouter(prefix=API, tags=["snapshots"])
# For the route that accepts a view's key instead of other credentials.
owner_router = APIRouter(prefix=API, tags=["snapshots"])

BODY = refer_to(SnapshotRequest)

Mine = Annotated[bool, Query(description="Always true: the server lists only your own snapshots.")]

POST_RESPONSES: Responses = {
    201: {"description": "The view is stored"},
    200: {"description": "Known: the same view was stored before", "model": NewSnapshotBody},
}


@router.post(
    "/snapshots",
    status_code=201,
    response_model=NewSnapshotBody,
    responses=POST_RESPONSES,
    openapi_extra={"requestBody": BODY},
)
async def create_snapshot(
    request: Request,
    service: Service,
    sweeps: SweepService,
    snapshots: Snapshots,
    policy: InstalledPolicy,
    client: Runner,
) -> Response:
    """Store a view: 201 new, 200 if the same view is known. Its runs must be done.

    The answer to a new view has its `key`, which is returned only now. It is kept forever if the client has a token,
    else until no one has viewed it for the server's retention time.
    """
    await policy.require_storage(client)
    view = parse_model(SnapshotRequest, await request.body())
    for run_id in view.runs:
        await find_done(service, run_id)
    await service.storage.require_space()
    sweep = None if view.sweep is None else await _find_stored(service, sweeps, snapshots, view.sweep)
    key = new_owner_key()
    owner = to_owner(client, key, limits.KEEP_SNAPSHOT_S)
    snapshot, is_new = await snapshots.put(view.runs, view.state, view.title, view.note, sweep, owner)
    body = NewSnapshotBody.build_new(snapshot, key if is_new else None)
    return JSONResponse(body.model_dump(mode="json"), 201 if is_new else 200, {"Location": body.url})


async def _find_stored(service: Runs, sweeps: Sweeps, snapshots: SnapshotStore, name: str) -> StoredSweep:
    """Return a sweep in the form that snapshots store. name: id of a sweep, or of a snapshot with a sweep."""
    known = await sweeps.find(name)
    if known is not None:
        done = [(run_id, await service.store.get(run_id)) for run_id in known.list_in(("done",))]
        return known.to_stored(deleted=[run_id for run_id, run in done if run is None or run.status != "done"])
    snapshot = await snapshots.get(name)
    if snapshot is None or snapshot.sweep is None:
        raise not_found("sweep", name)
    return snapshot.sweep


@router.get("/snapshots")
async def list_snapshots(snapshots: Snapshots, client: Client, mine: Mine = True) -> list[OwnSnapshotBody]:
    """Return the caller's own stored views, the latest first. Others' are found by their links alone."""
    return [OwnSnapshotBody.build(snapshot) for snapshot in await snapshots.list_of(client.key)]


@owner_router.delete("/snapshots/{snapshot_id}", openapi_extra=require(KEY, TOKEN, BROWSER, is_optional=True))
async def delete_snapshot(snapshot_id: str, snapshots: Snapshots, client: KeyHolder, key: OwnerKey) -> DeletedBody:
    """Delete a stored view, for its owner: the client that made it, or `Authorization: Bearer` with the view's key.

    Its link and its frames are invalid from then on. Idempotent except for 404.
    """
    snapshot = await snapshots.get(snapshot_id)
    if snapshot is None:
        raise not_found("snapshot", snapshot_id)
    require_owner(snapshot, client, key)
    await snapshots.delete(snapshot)
    return DeletedBody(id=snapshot_id)


@router.get("/snapshots/{snapshot_id}")
async def get_snapshot(snapshot: SnapshotById) -> SnapshotBody:
    """Return a snapshot: the stored view behind a short link."""
    return SnapshotBody.build(snapshot)


async def find_stored_grid(snapshot: SnapshotById, values: Values, number: RequestedNumber) -> MeasuredSweep:
    """Return the numbers of a stored view's sweep for the metric and reduction in the query."""
    if snapshot.sweep is None:
        raise not_found("sweep", snapshot.id)
    return await values.measure(SweepGrid.from_stored(snapshot.sweep), number.metric, number.reduction)


StoredSweepNumbers = Annotated[MeasuredSweep, Depends(find_stored_grid)]


@router.get("/snapshots/{snapshot_id}/sweep/values")
async def get_stored_values(measured: StoredSweepNumbers) -> ValuesBody:
    """Return one number per cell of the sweep that a view was stored with: a metric, reduced over layers."""
    return ValuesBody.build(measured)


@router.get("/snapshots/{snapshot_id}/sweep/figure", response_model=FigureBody, dependencies=[Depends(refuse_unknown)])
async def get_stored_figure(measured: StoredSweepNumbers, theme: ThemeName = "light") -> Response:
    """Return the values of a stored view's sweep as a Plotly heatmap: `plotly.io.from_json` reads it."""
    return await respond_figure(lambda: build_sweep(measured.grid, THEMES[theme]))
