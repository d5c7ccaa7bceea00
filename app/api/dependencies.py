"""What routes are given: the app's services, who asks, and what the ids in an address name."""

import ipaddress
from typing import Annotated

from fastapi import Depends, Query, Request

from app.api.http.problems import Problem, not_found
from app.engine.contract import RUN
from app.services import identity
from app.services.live_traces import LiveTraces
from app.services.results import read_result
from app.services.runs import Runs
from app.services.sweep_values import SweepValues
from app.services.sweeps import Sweep, Sweeps
from app.services.traces import Traces
from app.store.runs import Run
from app.store.snapshots import Snapshot, SnapshotStore
from mhc_core.record.result import Result

# What a proxy adds to a request.
FORWARDED = {"forwarded", "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto", "x-real-ip", "via"}


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


def get_snapshots(request: Request) -> SnapshotStore:
    """The snapshots of this app."""
    snapshots: SnapshotStore = request.app.state.snapshots
    return snapshots


def get_client(request: Request) -> identity.Client:
    """Who asks, which shares and rights hang on."""
    address = request.client.host if request.client else "unknown"
    return identity.Client(address, address)


def require_operator(request: Request) -> None:
    """Refuse what is for operators alone.

    With a private port: who comes by it, or has the rights of an admin. Without one, also a process of this machine
    that no proxy stands before: a scraper beside the server needs no setting then.
    """
    settings = request.app.state.settings
    if get_client(request).rights == "admin":
        return
    _, port = request.scope["server"]
    if settings.private_port:
        is_known = port == settings.private_port
    else:
        is_known = is_loopback(request) and not FORWARDED & set(request.headers.keys())
    if not is_known:
        wanted = f"port {settings.private_port}" if settings.private_port else "this machine"
        raise Problem("private", 403, f"only a request from {wanted}, or with an admin's token, may read this")


def is_loopback(request: Request) -> bool:
    """Whether the request comes from a process of this machine."""
    try:
        return request.client is not None and ipaddress.ip_address(request.client.host).is_loopback
    except ValueError:
        return False


def get_viewer(
    request: Request,
    viewer: Annotated[
        str | None,
        Query(max_length=64, description="A token of the caller's own; else its address."),
    ] = None,
) -> str:
    """Whose event stream this is: a DELETE is not held up by streams of the viewer that sends it."""
    return viewer or get_client(request).key


Service = Annotated[Runs, Depends(get_service)]
TraceService = Annotated[Traces, Depends(get_traces)]
LiveService = Annotated[LiveTraces, Depends(get_live_traces)]
SweepService = Annotated[Sweeps, Depends(get_sweeps)]
Values = Annotated[SweepValues, Depends(get_values)]
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


FoundSnapshot = Annotated[Snapshot, Depends(find_snapshot)]
FoundSweep = Annotated[Sweep, Depends(find_sweep)]
