"""What routes are given: the app's services, who asks, and what the ids in an address name."""

from dataclasses import replace
from typing import Annotated

from fastapi import Depends, Query, Request

from app.api.http.problems import Problem, not_found
from app.engine.contract import RUN
from app.services import identity
from app.services.live_traces import LiveTraces
from app.services.results import read_result
from app.services.rooms import Rooms
from app.services.runs import Runs
from app.services.sweep_values import SweepValues
from app.services.sweeps import Sweep, Sweeps
from app.services.traces import Traces
from app.store.rooms import ROOM_ADDRESS, Room
from app.store.runs import Run
from app.store.snapshots import Snapshot, SnapshotStore
from mhc_core.record.result import Result

ROOM_HEADER = "X-Room"  # names the room of a course that a request is made in


def read_bearer(request: Request) -> str:
    """The token of the `Authorization` header; empty where there is none."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""


def get_service(request: Request) -> Runs:
    """The runs of this app."""
    service: Runs = request.app.state.runs
    return service


def get_sweeps(request: Request) -> Sweeps:
    """The sweeps of this app."""
    sweeps: Sweeps = request.app.state.sweeps
    return sweeps


def get_values(request: Request) -> SweepValues:
    """The numbers of this app's sweeps."""
    values: SweepValues = request.app.state.sweep_values
    return values


def get_traces(request: Request) -> Traces:
    """The traces of this app."""
    traces: Traces = request.app.state.traces
    return traces


def get_live_traces(request: Request) -> LiveTraces:
    """The traces of this app that grow."""
    traces: LiveTraces = request.app.state.live_traces
    return traces


def get_rooms(request: Request) -> Rooms:
    """The rooms of this app."""
    rooms: Rooms = request.app.state.rooms
    return rooms


def get_snapshots(request: Request) -> SnapshotStore:
    """The snapshots of this app."""
    snapshots: SnapshotStore = request.app.state.snapshots
    return snapshots


async def get_client(request: Request) -> identity.Client:
    """Who asks, which shares and rights hang on."""
    address = request.client.host if request.client else "unknown"
    return await _into_room(request, identity.Client(address, address))


async def _into_room(request: Request, client: identity.Client) -> identity.Client:
    """The client, in the room of a course where the request names one."""
    name = request.headers.get(ROOM_HEADER)
    if not name:
        return client
    room = await get_rooms(request).store.get(name)
    if room is None:
        raise not_found("room", name)
    return replace(client, address=f"{ROOM_ADDRESS}{room.id}", room=room.id)


async def get_viewer(
    request: Request,
    viewer: Annotated[
        str | None,
        Query(max_length=64, description="A token of the caller's own; else its address."),
    ] = None,
) -> str:
    """Whose event stream this is: a DELETE is not held up by streams of the viewer that sends it."""
    return viewer or (await get_client(request)).key


Service = Annotated[Runs, Depends(get_service)]
TraceService = Annotated[Traces, Depends(get_traces)]
LiveService = Annotated[LiveTraces, Depends(get_live_traces)]
SweepService = Annotated[Sweeps, Depends(get_sweeps)]
Values = Annotated[SweepValues, Depends(get_values)]
RoomService = Annotated[Rooms, Depends(get_rooms)]
Snapshots = Annotated[SnapshotStore, Depends(get_snapshots)]
Client = Annotated[identity.Client, Depends(get_client)]
Viewer = Annotated[str, Depends(get_viewer)]


async def find_run(service: Runs, run_id: str) -> Run:
    """The run, noted as used. Other jobs, such as verifications, are not shown."""
    run = await service.store.get(run_id)
    if run is None or run.kind != RUN:
        raise not_found("run", run_id)
    await service.store.touch(run)
    return run


async def find_done(service: Runs, run_id: str) -> Run:
    """The run, if it has a whole result."""
    run = await find_run(service, run_id)
    if not run.is_whole:
        why = f"run {run_id} is {run.status}" + (f": {run.reason}" if run.reason else "")
        raise Problem("not-ready", 409, why, headers={"Retry-After": "1"} if run.is_live else {})
    return run


async def load_result(service: Runs, run: Run) -> Result:
    """The run's columns."""
    return await read_result(service.log.read_all(run.id))


async def find_snapshot(snapshots: Snapshots, snapshot_id: str) -> Snapshot:
    """The snapshot of that id."""
    snapshot = await snapshots.get(snapshot_id)
    if snapshot is None:
        raise not_found("snapshot", snapshot_id)
    return snapshot


def find_sweep(sweeps: SweepService, sweep_id: str) -> Sweep:
    """The sweep of that id."""
    sweep = sweeps.get(sweep_id)
    if sweep is None:
        raise not_found("sweep", sweep_id)
    return sweep


async def find_room(rooms: RoomService, room_id: str) -> Room:
    """The room of that id."""
    room = await rooms.store.get(room_id)
    if room is None:
        raise not_found("room", room_id)
    return room


async def find_own_room(
    request: Request, rooms: RoomService, client: Client, room: Annotated[Room, Depends(find_room)]
) -> Room:
    """The same, for its teacher; asked before anything of the body is read."""
    rooms.require_key(room, read_bearer(request), client)
    return room


FoundRoom = Annotated[Room, Depends(find_room)]
OwnRoom = Annotated[Room, Depends(find_own_room)]
FoundSnapshot = Annotated[Snapshot, Depends(find_snapshot)]
FoundSweep = Annotated[Sweep, Depends(find_sweep)]
