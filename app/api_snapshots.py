"""Routes of snapshots."""

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse
from starlette.responses import Response

from app.api_runs import Service, find_done
from app.bodies import parse_model
from app.errors import not_found
from app.models import API, SnapshotBody, SnapshotRequest
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
    snapshot, is_new = await store.put(view.runs, view.state, view.title, view.note)
    body = SnapshotBody.build(snapshot)
    return JSONResponse(body.model_dump(mode="json"), 201 if is_new else 200, {"Location": body.url})


@router.get("/snapshots/{snapshot_id}")
async def get_snapshot(request: Request, snapshot_id: str) -> SnapshotBody:
    """A stored view."""
    return SnapshotBody.build(await find_snapshot(request, snapshot_id))
