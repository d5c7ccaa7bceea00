"""What routes are given: the app's services, who asks, and what the ids in an address name."""

import asyncio
import ipaddress
import time
from dataclasses import replace
from typing import Annotated

from fastapi import Depends, Query, Request

from mhc_core.record import codec
from mhc_core.record.result import Result
from mhc_scope.api.http.cookies import COOKIE, TOKEN_COOKIE
from mhc_scope.api.http.problems import Problem, not_found
from mhc_scope.api.http.proxies import FROM_PROXY
from mhc_scope.engine.contract import RUN
from mhc_scope.observe import context
from mhc_scope.services import identity, shares
from mhc_scope.services.encoder import Encoder
from mhc_scope.services.live_traces import LiveTraces
from mhc_scope.services.results import read_result
from mhc_scope.services.rooms import Rooms
from mhc_scope.services.runs import Runs
from mhc_scope.services.shares import ReadShares, StreamShares
from mhc_scope.services.sweep import SweepGrid
from mhc_scope.services.sweep_values import SweepReader
from mhc_scope.services.sweeps import Sweeps
from mhc_scope.services.traces import Traces
from mhc_scope.store.measures import Measures
from mhc_scope.store.rooms import ROOM_ADDRESS, Room
from mhc_scope.store.runs import StoredRun
from mhc_scope.store.snapshots import SnapshotStore, StoredSnapshot
from mhc_scope.store.tokens import read_token_id

ROOM_HEADER = "X-Room"  # names the room of a course that a request is made in
# What a proxy adds to a request.
FORWARDED = {"forwarded", "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto", "x-real-ip", "via"}
MAX_CHARGED = 8  # runs of one figure; more are refused by its route


def get_service(request: Request) -> Runs:
    """The runs of this app."""
    service: Runs = request.app.state.runs
    return service


def get_sweeps(request: Request) -> Sweeps:
    """The sweeps of this app."""
    sweeps: Sweeps = request.app.state.sweeps
    return sweeps


def get_values(request: Request) -> SweepReader:
    """The numbers of this app's sweeps."""
    values: SweepReader = request.app.state.sweep_values
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


def get_encoder(request: Request) -> Encoder:
    """What writes large results."""
    encoder: Encoder = request.app.state.encoder
    return encoder


def get_measures(request: Request) -> Measures:
    """What operators ask the database."""
    measures: Measures = request.app.state.measures
    return measures


def get_streams(request: Request) -> StreamShares:
    """The event streams of this app."""
    streams: StreamShares = request.app.state.streams
    return streams


def read_bearer(request: Request) -> str | None:
    """The bearer token of a request; None without one."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else None


def read_access_token(request: Request) -> str | None:
    """The access token of a request: its bearer, else that of the person who has signed in; None without one."""
    bearer = read_bearer(request)  # an empty one is a wrong one, and not none
    return request.cookies.get(TOKEN_COOKIE) if bearer is None else bearer


async def get_client(request: Request) -> identity.ClientIdentity:
    """Who asks, which shares and rights hang on."""
    return await _recognise(request, read_access_token(request))


async def get_keyed_client(request: Request) -> identity.ClientIdentity:
    """The same, for routes whose bearer may be the key of what they name instead of an access token."""
    bearer, kept = read_bearer(request), request.cookies.get(TOKEN_COOKIE)
    return await _recognise(request, bearer if bearer and read_token_id(bearer) else kept)


async def recognise_holder(request: Request, token: str) -> identity.ClientIdentity:
    """Who has the access token; only the address of the request counts beside it.

    Raises
    ------
    InvalidTokenError
        Where it is not one of this server's, or has expired.
    """
    identities: identity.Identities = request.app.state.identities
    host = request.client.host if request.client else "unknown"
    return await identities.recognise(identity.Claims(host, token))


async def _recognise(request: Request, token: str | None) -> identity.ClientIdentity:
    host = request.client.host if request.client else "unknown"
    name = _read_name(request) if request.scope.get(FROM_PROXY) else None
    claims = identity.Claims(host, token, name, request.cookies.get(COOKIE))
    identities: identity.Identities = request.app.state.identities
    client = await identities.recognise(claims)
    context.note(client=client.key)
    return await _into_room(request, client)


async def _into_room(request: Request, client: identity.ClientIdentity) -> identity.ClientIdentity:
    """The client, in the room of a course where the request names one."""
    name = request.headers.get(ROOM_HEADER)
    if not name:
        return client
    room = await get_rooms(request).store.get(name)
    if room is None:
        raise not_found("room", name)
    return replace(client, address=f"{ROOM_ADDRESS}{room.id}", room=room.id, room_s=room.max_seconds)


def _read_name(request: Request) -> str | None:
    """Who has signed in at the proxy. Two names mean that the proxy let the sender's own header through."""
    names = request.headers.getlist(request.app.state.settings.sso_header or "-")
    if len(names) > 1:
        raise Problem("http", 400, "The proxy sent more than one user name.")
    return names[0].strip() if names else None


def require_read(client: Annotated[identity.ClientIdentity, Depends(get_client)]) -> identity.ClientIdentity:
    """One who may look."""
    identity.require_rights(client, "read")
    return client


def require_run(client: Annotated[identity.ClientIdentity, Depends(get_client)]) -> identity.ClientIdentity:
    """One who may start, bring and keep things."""
    identity.require_rights(client, "run")
    return client


def require_admin(client: Annotated[identity.ClientIdentity, Depends(get_client)]) -> identity.ClientIdentity:
    """One who may do anything."""
    identity.require_rights(client, "admin")
    return client


async def require_operator(request: Request) -> None:
    """Refuse what is for operators alone."""
    if is_at_operators_door(request):
        return
    client = await get_client(request)
    if client.rights != "admin":
        port = request.app.state.settings.private_port
        wanted = f"port {port}" if port else "this machine"
        status, headers = (403, {}) if client.is_known else (401, {"WWW-Authenticate": "Bearer"})
        detail = f"Only requests from {wanted} or with an admin token are answered."
        raise Problem("private", status, detail, headers=headers)


def is_at_operators_door(request: Request) -> bool:
    """Whether a request comes by the private port, where there is one.

    Without one, whether a process of this machine sends it, before which no proxy stands: a scraper beside the server
    needs no setting then.
    """
    _, port = request.scope["server"]
    private: int = request.app.state.settings.private_port
    if private:
        return bool(port == private)
    try:
        is_local = request.client is not None and ipaddress.ip_address(request.client.host).is_loopback
    except ValueError:
        return False
    return is_local and not FORWARDED & set(request.headers.keys())


def get_viewer(
    client: Annotated[identity.ClientIdentity, Depends(get_client)],
    viewer: Annotated[
        str | None,
        Query(max_length=64, description="A token of the caller's own, which tells its streams from others of its."),
    ] = None,
) -> str:
    """Whose event stream this is: a DELETE is not held up by streams of the viewer that sends it."""
    return identity.to_viewer(client, viewer)


Service = Annotated[Runs, Depends(get_service)]
TraceService = Annotated[Traces, Depends(get_traces)]
LiveService = Annotated[LiveTraces, Depends(get_live_traces)]
SweepService = Annotated[Sweeps, Depends(get_sweeps)]
Values = Annotated[SweepReader, Depends(get_values)]
RoomService = Annotated[Rooms, Depends(get_rooms)]
Snapshots = Annotated[SnapshotStore, Depends(get_snapshots)]
Encoding = Annotated[Encoder, Depends(get_encoder)]
Streams = Annotated[StreamShares, Depends(get_streams)]
Client = Annotated[identity.ClientIdentity, Depends(get_client)]
KeyedClient = Annotated[identity.ClientIdentity, Depends(get_keyed_client)]
Runner = Annotated[identity.ClientIdentity, Depends(require_run)]
Bearer = Annotated[str | None, Depends(read_bearer)]
Viewer = Annotated[str, Depends(get_viewer)]


def get_place(streams: Streams, client: Client) -> shares.StreamPlace:
    """Where the caller opens event streams."""
    return shares.StreamPlace(streams, client)


StreamPlace = Annotated[shares.StreamPlace, Depends(get_place)]


async def find_run(service: Runs, run_id: str) -> StoredRun:
    """The run, noted as used. Other jobs, such as verifications, are not shown."""
    run = await service.find(run_id)
    if run is None or run.kind != RUN:
        raise not_found("run", run_id)
    await service.store.touch(run)
    return run


async def find_done(service: Runs, run_id: str) -> StoredRun:
    """The run, if it has a whole result."""
    run = await find_run(service, run_id)
    if not run.is_whole:
        why = f"Run {run_id} is {run.status}" + (f": {run.reason}" if run.reason else ".")
        raise Problem("not-ready", 409, why, headers={"Retry-After": "1"} if run.is_live else {})
    return run


async def load_result(service: Runs, run: StoredRun) -> Result:
    """The run's columns."""
    return await read_result(service.log.read_all(run.id))


async def load_start(service: Runs, run: StoredRun) -> Result:
    """What the run's first frame says: its source, layers and streams."""
    result = Result(keeps_frames=False)
    for line in await service.log.read(run.id, -1, 1):
        result.add(codec.decode_line(line))
    return result


async def charge_reading(request: Request, service: Service, client: Client, run_id: str) -> None:
    """Count what it costs to read a run whole, of those who ask for what is made of it."""
    reads: ReadShares = request.app.state.reads
    names = [run_id, *filter(None, request.query_params.get("with", "").split(","))]
    runs = await asyncio.gather(*map(service.store.get, names[:MAX_CHARGED]))
    reads.charge(client, sum(run.bytes for run in runs if run is not None))


async def find_view(request: Request, snapshots: SnapshotStore, snapshot_id: str) -> StoredSnapshot | None:
    """The snapshot of that id, if there is one; it is looked at, and therefore kept longer."""
    snapshot = await snapshots.get(snapshot_id)
    if snapshot is not None:
        await snapshots.renew(snapshot, time.time() + request.app.state.settings.keep_snapshot_s)
    return snapshot


async def find_snapshot(request: Request, snapshots: Snapshots, snapshot_id: str) -> StoredSnapshot:
    """The snapshot of that id."""
    snapshot = await find_view(request, snapshots, snapshot_id)
    if snapshot is None:
        raise not_found("snapshot", snapshot_id)
    return snapshot


async def find_sweep(sweeps: SweepService, sweep_id: str) -> SweepGrid:
    """The sweep of that id."""
    sweep = await sweeps.find(sweep_id)
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
    bearer: Bearer, rooms: RoomService, client: KeyedClient, room: Annotated[Room, Depends(find_room)]
) -> Room:
    """The same, for its teacher; asked before anything of the body is read."""
    rooms.require_key(room, bearer or "", client)
    return room


FoundRoom = Annotated[Room, Depends(find_room)]
OwnRoom = Annotated[Room, Depends(find_own_room)]
FoundSnapshot = Annotated[StoredSnapshot, Depends(find_snapshot)]
FoundSweep = Annotated[SweepGrid, Depends(find_sweep)]
