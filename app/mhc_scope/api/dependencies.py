"""Define the dependencies of routes: the app's services, the client, and the resources that an address names."""

import asyncio
import time
from typing import Annotated, Any

from fastapi import Depends, Query, Request

from mhc_core.record import codec
from mhc_core.record.result import Result
from mhc_scope import limits, log_context
from mhc_scope.api.problems import Problem, not_found
from mhc_scope.api.proxies import FROM_PROXY
from mhc_scope.engine.contract import RUN
from mhc_scope.services import identity, streams
from mhc_scope.services.encoder import Encoder
from mhc_scope.services.live_traces import LiveTraces
from mhc_scope.services.policy import Credentials, Policy
from mhc_scope.services.results import read_result
from mhc_scope.services.runs import Runs
from mhc_scope.services.sweep import SweepGrid
from mhc_scope.services.sweep_values import SweepReader
from mhc_scope.services.sweeps import Sweeps
from mhc_scope.services.traces import Traces
from mhc_scope.store.runs import StoredRun
from mhc_scope.store.snapshots import SnapshotStore, StoredSnapshot

MAX_CHARGED = 8  # largest number of runs in a figure; its route refuses more


class FromState:
    """A dependency that returns a service, by its name in the app's state."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __call__(self, request: Request) -> Any:
        """Return the service from the app that handles the request."""
        return getattr(request.app.state, self._name)


Service = Annotated[Runs, Depends(FromState("runs"))]
TraceService = Annotated[Traces, Depends(FromState("traces"))]
LiveService = Annotated[LiveTraces, Depends(FromState("live_traces"))]
SweepService = Annotated[Sweeps, Depends(FromState("sweeps"))]
Values = Annotated[SweepReader, Depends(FromState("sweep_values"))]
Snapshots = Annotated[SnapshotStore, Depends(FromState("snapshots"))]
Encoding = Annotated[Encoder, Depends(FromState("encoder"))]
InstalledPolicy = Annotated[Policy, Depends(FromState("policy"))]


def read_bearer(request: Request) -> str | None:
    """Return the bearer token of a request; None without one."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else None


def read_owner_key(request: Request) -> str | None:
    """Return the bearer token if it is the key of the resource that the request names; None without one."""
    bearer = read_bearer(request)
    return None if bearer and request.app.state.policy.is_token(bearer) else bearer


async def get_client(request: Request) -> identity.ClientIdentity:
    """Return the client that sends a request, on which quotas and rights depend."""
    return await _identify_client(request, read_bearer(request))


async def get_key_holder(request: Request) -> identity.ClientIdentity:
    """Return the client, for routes whose bearer token may be the key of a resource instead of an access token."""
    return await _identify_client(request, None if read_owner_key(request) is not None else read_bearer(request))


async def _identify_client(request: Request, token: str | None) -> identity.ClientIdentity:
    """Return the client as the policy identifies it, and add its key to the request's log line."""
    client = await request.app.state.policy.identify(
        Credentials(
            host=request.client.host if request.client else "unknown",
            token=token,
            headers=request.headers.items(),
            cookies=request.cookies,
            is_from_proxy=bool(request.scope.get(FROM_PROXY)),
        )
    )
    log_context.note(client=client.key)
    return client


def require_read(client: Annotated[identity.ClientIdentity, Depends(get_client)]) -> identity.ClientIdentity:
    """Return the client that sends a request; refuse a client without the right to read."""
    identity.require_rights(client, "read")
    return client


def require_run(client: Annotated[identity.ClientIdentity, Depends(get_client)]) -> identity.ClientIdentity:
    """Return the client that sends a request; refuse a client without the right to start runs, upload and store."""
    identity.require_rights(client, "run")
    return client


def get_viewer(
    client: Annotated[identity.ClientIdentity, Depends(get_client)],
    viewer: Annotated[
        str | None,
        Query(max_length=64, description="An identifier that the caller chooses for its event streams."),
    ] = None,
) -> str:
    """Return the key of the viewer that sends a request, whose own event streams do not prevent a cancellation."""
    return identity.to_viewer(client, viewer)


Client = Annotated[identity.ClientIdentity, Depends(get_client)]
KeyHolder = Annotated[identity.ClientIdentity, Depends(get_key_holder)]
Runner = Annotated[identity.ClientIdentity, Depends(require_run)]
OwnerKey = Annotated[str | None, Depends(read_owner_key)]
Viewer = Annotated[str, Depends(get_viewer)]


def get_place(policy: InstalledPolicy, client: Client) -> streams.StreamPlace:
    """Return an object with which a route can take one of the client's allowed event streams."""
    return streams.StreamPlace(policy.event_streams, client)


StreamPlace = Annotated[streams.StreamPlace, Depends(get_place)]


async def find_run(service: Runs, run_id: str) -> StoredRun:
    """Return the run with an id, and record its use. Raise the problem 404 for unknown ids and for other jobs."""
    run = await service.find(run_id)
    if run is None or run.kind != RUN:
        raise not_found("run", run_id)
    await service.store.touch(run)
    return run


async def find_done(service: Runs, run_id: str) -> StoredRun:
    """Return the run with an id; raise the problem 409 if it is not done."""
    run = await find_run(service, run_id)
    if not run.is_whole:
        why = f"Run {run_id} is {run.status}" + (f": {run.reason}" if run.reason else ".")
        raise Problem("not-ready", 409, why, headers={"Retry-After": "1"} if run.is_live else {})
    return run


async def load_result(service: Runs, run: StoredRun) -> Result:
    """Read the frames of a run and return them as columns."""
    return await read_result(service.log.read_all(run.id))


async def load_start(service: Runs, run: StoredRun) -> Result:
    """Return a result with only the start frame of a run: source, layers and streams."""
    result = Result(keeps_frames=False)
    for line in await service.log.read(run.id, -1, 1):
        result.add(codec.decode_line(line))
    return result


async def charge_reading(request: Request, service: Service, client: Client, run_id: str) -> None:
    """Charge the client for the frames of the runs in a request, for routes that read them to compute a response."""
    names = [run_id, *filter(None, request.query_params.get("with", "").split(","))]
    runs = await asyncio.gather(*map(service.store.get, names[:MAX_CHARGED]))
    request.app.state.policy.charge_read(client, sum(run.bytes for run in runs if run is not None))


async def find_view(snapshots: SnapshotStore, snapshot_id: str) -> StoredSnapshot | None:
    """Return the snapshot with an id and postpone its expiry; None if there is none."""
    snapshot = await snapshots.get(snapshot_id)
    if snapshot is not None:
        await snapshots.renew(snapshot, time.time() + limits.KEEP_SNAPSHOT_S)
    return snapshot


async def find_snapshot(snapshots: Snapshots, snapshot_id: str) -> StoredSnapshot:
    """Return the snapshot with an id; raise the problem 404 if there is none."""
    snapshot = await find_view(snapshots, snapshot_id)
    if snapshot is None:
        raise not_found("snapshot", snapshot_id)
    return snapshot


async def find_sweep(sweeps: SweepService, sweep_id: str) -> SweepGrid:
    """Return the sweep with an id; raise the problem 404 if there is none."""
    sweep = await sweeps.find(sweep_id)
    if sweep is None:
        raise not_found("sweep", sweep_id)
    return sweep


SnapshotById = Annotated[StoredSnapshot, Depends(find_snapshot)]
SweepById = Annotated[SweepGrid, Depends(find_sweep)]
