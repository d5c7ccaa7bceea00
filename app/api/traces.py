"""Routes of traces: records of models from elsewhere, which people bring."""

import asyncio
from typing import Annotated

from fastapi import APIRouter, Depends, Request
from fastapi.responses import JSONResponse
from starlette.requests import ClientDisconnect
from starlette.responses import Response

from app.api.dependencies import Client, Service, find_done, find_run, load_result
from app.api.http.addresses import to_base
from app.api.http.contents import Responses
from app.api.models.links import API
from app.api.models.traces import TraceBody, TwinBody
from app.services.errors import NotATraceError
from app.services.traces import Traces
from mhc_core.measure.traces.twin import build_twin
from mhc_core.record.source import TraceSource

router = APIRouter(prefix=API, tags=["traces"])

OCTETS = "application/octet-stream"
# No other media type: clients that are generated from the description know none for zip or NDJSON.
BYTES_BODY = {
    "requestBody": {"required": True, "content": {OCTETS: {"schema": {"type": "string", "format": "binary"}}}},
}
POST_RESPONSES: Responses = {
    201: {"description": "Stored"},
    200: {"description": "Known: the same trace was stored before", "model": TraceBody},
}
# The view of one trace; `static/js/state/view` reads it.
VIEW = "/#v=1&runs=trace&A.trace={id}"


def get_traces(request: Request) -> Traces:
    """The traces of this app."""
    traces: Traces = request.app.state.traces
    return traces


TraceService = Annotated[Traces, Depends(get_traces)]


@router.post("/traces", status_code=201, response_model=TraceBody, responses=POST_RESPONSES, openapi_extra=BYTES_BODY)
async def add_trace(request: Request, traces: TraceService, client: Client) -> Response:
    """Store a trace, the content of a `.mhct` file: 201 new, 200 where it is known. From then on it is a run like any.

    Every frame is checked; what is wrong is named by its field, such as `frames[12].values.h_res`.
    """
    try:
        added = await traces.add(request.stream(), client)
    except ClientDisconnect:
        return Response(status_code=400)  # no one reads it: the client has gone before its trace was whole
    body = TraceBody.build(added.record_id, to_page(request, added.record_id), added.frames + 1)
    return JSONResponse(body.model_dump(), 201 if added.is_new else 200, {"Location": body.links.self})


@router.get("/runs/{run_id}/twin")
async def get_twin(run_id: str, service: Service) -> TwinBody:
    """A spec of a synthetic stack like a trace's model: depth, streams, blocks and initialisation, as near as told."""
    run = await find_run(service, run_id)
    if not isinstance(run.source, TraceSource):
        raise NotATraceError(f"record {run.id} is a run: it has a spec of its own, and needs no twin")
    result = await load_result(service, await find_done(service, run_id))
    return TwinBody.build(await asyncio.to_thread(build_twin, result))


def to_page(request: Request, record_id: str) -> str:
    """Link to the page that shows a trace, absolute where the server knows its address."""
    return (to_base(request, request.app.state.settings.public_url) or "") + VIEW.format(id=record_id)
