"""Serve recordings (`/traces`): records of users' own models, which are uploaded when complete or while they grow."""

import asyncio
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import JSONResponse
from starlette.requests import ClientDisconnect
from starlette.responses import Response

from mhc_core.measure.twin import build_twin
from mhc_core.record.source import TraceSource
from mhc_scope.api.addresses import to_base
from mhc_scope.api.bodies import parse_model, refer_to
from mhc_scope.api.contents import Responses
from mhc_scope.api.credentials import KEY, require
from mhc_scope.api.dependencies import (
    LiveService,
    Runner,
    Service,
    TraceService,
    charge_reading,
    find_done,
    find_run,
    load_result,
    read_bearer,
)
from mhc_scope.api.models.links import API, to_address, to_links
from mhc_scope.api.models.traces import EndRequest, LiveTraceBody, LiveTraceStateBody, TraceBody, TwinBody
from mhc_scope.api.problems import Problem
from mhc_scope.services.errors import NotATraceError
from mhc_scope.store.runs import StoredRun

router = APIRouter(prefix=API, tags=["traces"])
# For routes that accept a recording's token instead of other credentials.
owner_router = APIRouter(prefix=API, tags=["traces"])

OCTETS = "application/octet-stream"
# Generated clients support no media types for zip or NDJSON.
BYTES_BODY = {
    "requestBody": {"required": True, "content": {OCTETS: {"schema": {"type": "string", "format": "binary"}}}},
}
POST_RESPONSES: Responses = {
    201: {"description": "Stored"},
    200: {"description": "Known: the same trace was stored before", "model": TraceBody},
}
# Address of the view of one recording; `static/js/state` parses it.
VIEW = "/#v=1&runs=trace&A.trace={id}"


async def find_owned(trace_id: str, request: Request, live: LiveService) -> StoredRun:
    """Return the live recording with an id if the request has its token. This is checked before the body is read."""
    return await live.require_owner(trace_id, read_bearer(request) or "")


OwnedTrace = Annotated[StoredRun, Depends(find_owned)]
FirstIndex = Annotated[int, Query(ge=0, le=2**31, description="Index of the first of these frames.")]


@router.post("/traces", status_code=201, response_model=TraceBody, responses=POST_RESPONSES, openapi_extra=BYTES_BODY)
async def add_trace(request: Request, traces: TraceService, client: Runner) -> Response:
    """Store a trace, the content of a `.mhct` file: 201 new, 200 if it is known. It can then be used like a run.

    Every frame is checked; an error names its field, such as `frames[12].values.h_res`.
    """
    try:
        added = await traces.add(request.stream(), client)
    except ClientDisconnect:
        return Response(status_code=400)  # never read: the client disconnected during the upload
    page, links = to_page(request, added.record_id), to_links(added.record_id)
    body = TraceBody(id=added.record_id, url=page, frames=added.frames + 1, links=links)
    return JSONResponse(body.model_dump(), 201 if added.is_new else 200, {"Location": body.links.self})


@router.post("/traces/live", status_code=201, openapi_extra=BYTES_BODY)
async def open_live_trace(request: Request, traces: TraceService, live: LiveService, client: Runner) -> LiveTraceBody:
    """Create a live trace. The body has its first frames as NDJSON lines, beginning with `start`."""
    live.require_capacity()
    await traces.require_capacity(client)
    opened = await live.open(await read_lines(request), client)
    run = await live.require_owner(opened.record_id, opened.token)
    page, links = to_page(request, run.id), to_links(run.id)
    return LiveTraceBody(id=run.id, token=opened.token, url=page, due=run.frames, links=links)


@owner_router.post("/traces/{trace_id}/frames", openapi_extra=BYTES_BODY | require(KEY))
async def feed_live_trace(
    request: Request, run: OwnedTrace, live: LiveService, index: FirstIndex
) -> LiveTraceStateBody:
    """Append NDJSON lines to a trace that grows: lines that are stored already are skipped, a gap is 409.

    The lines are stored whole or not at all. If the last is `end`, the trace ends with it.
    """
    state = await live.append(run, index, await read_lines(request))
    return LiveTraceStateBody(id=state.record_id, status=state.status, due=state.due)


@owner_router.post("/traces/{trace_id}/end", openapi_extra={"requestBody": refer_to(EndRequest)} | require(KEY))
async def end_live_trace(request: Request, run: OwnedTrace, live: LiveService) -> LiveTraceStateBody:
    """Close a trace that grows; one that has ended stays unchanged."""
    ending = parse_model(EndRequest, await read_body(request))
    state = await live.end(run, ending.status, ending.reason)
    return LiveTraceStateBody(id=state.record_id, status=state.status, due=state.due)


@router.get("/runs/{run_id}/twin", dependencies=[Depends(charge_reading)])
async def get_twin(run_id: str, service: Service) -> TwinBody:
    """Return a spec of a synthetic stack like a trace's model: depth, streams, blocks and initialisation, if known."""
    run = await find_run(service, run_id)
    if not isinstance(run.source, TraceSource):
        raise NotATraceError(f"record {run.id} is a run: it has its own spec and needs no twin")
    result = await load_result(service, await find_done(service, run_id))
    twin = await asyncio.to_thread(build_twin, result)
    return TwinBody(id=twin.spec.id, spec=twin.spec.canonical(), unknown=twin.unknown)


async def read_body(request: Request) -> bytes:
    """Return the body of a request about a live recording, whose size `BodyLimit` has checked."""
    try:
        return await request.body()
    except ClientDisconnect:
        raise Problem("invalid-body", 400, "the body is incomplete") from None


async def read_lines(request: Request) -> list[bytes]:
    """Return the lines of an NDJSON request body."""
    return [line for line in (await read_body(request)).split(b"\n") if line]


def to_page(request: Request, record_id: str) -> str:
    """Return a link to the page that shows a recording, absolute if the server knows its address."""
    return (to_base(request, request.app.state.settings.public_base) or to_address("")) + VIEW.format(id=record_id)
