"""Serve runs: start them, show their status, stream their frames, cancel them."""

import asyncio
import math
from contextlib import AsyncExitStack
from typing import Annotated

from fastapi import APIRouter, Query, Request
from fastapi.responses import JSONResponse
from starlette.responses import Response

from mhc_core.spec import parse_spec
from mhc_scope.api import stream
from mhc_scope.api.bodies import MAX_SPECS, SPEC_BODY, SPECS_BODY, parse_comparison
from mhc_scope.api.contents import Responses, describe_items, describe_texts
from mhc_scope.api.dependencies import Runner, Service, StreamPlace, Viewer, find_run
from mhc_scope.api.models.links import API
from mhc_scope.api.models.runs import CancelBody, RunBody, SubmittedBody
from mhc_scope.api.problems import invalid_query
from mhc_scope.services.unannounced import Caller, CallerGone

router = APIRouter(prefix=API, tags=["runs"])

LIMIT = "Where the unknown runs are predicted to take longer in all, none is started: their status is `unstarted`."
HAVE = "Ids of runs that the caller has whole, separated by commas: an event stream omits their frames."
MIXED = (
    "Allow seeds and inputs that differ. Part of what differs between such runs is chance: it shows how much one draw "
    "differs from another, and not what another connection does."
)
MAX_HAVE = 2000
CLIENT_CLOSED_REQUEST = 499  # as in nginx; only for the log and the metrics, because the client has disconnected
POST_RESPONSES: Responses = {
    202: {"description": "Accepted: the run waits or is computed"},
    200: {"description": "Known: nothing new is computed", "model": SubmittedBody},
}
# JSON comes first: generated clients use the first known content type.
COMPARE_CONTENT = {"application/json": {}, **describe_texts({stream.SSE: stream.FOLLOWED})}
COMPARE_RESPONSES: Responses = {
    code: {"description": answer["description"], "model": list[SubmittedBody], "content": COMPARE_CONTENT}
    for code, answer in POST_RESPONSES.items()
}
STREAM_RESPONSES: Responses = {
    200: {"description": "Frames", "content": describe_items(stream.CONTENTS, "Frame")},
    204: {"description": "The run has ended and nothing is left to send"},
}


@router.post(
    "/runs",
    status_code=202,
    response_model=SubmittedBody,
    responses=POST_RESPONSES,
    openapi_extra={"requestBody": SPEC_BODY},
)
async def submit_run(request: Request, service: Service, client: Runner) -> Response:
    """Start a run, or return it if the same spec is known: 202 new, 200 known."""
    spec = parse_spec(await request.body())
    (submitted,) = await service.submit([spec], client)
    body = SubmittedBody.build(submitted)
    headers = {"Location": body.links.self}
    return JSONResponse(body.model_dump(), 202 if submitted.is_new else 200, headers)


@router.post(
    "/runs/compare",
    status_code=202,
    response_model=list[SubmittedBody],
    responses=COMPARE_RESPONSES,
    openapi_extra={"requestBody": SPECS_BODY},
)
async def compare_runs(
    request: Request,
    service: Service,
    client: Runner,
    place: StreamPlace,
    viewer: Viewer,
    limit_s: Annotated[float, Query(gt=0, description=LIMIT)] = math.inf,
    have: Annotated[str, Query(max_length=MAX_HAVE, description=HAVE)] = "",
    mixed: Annotated[bool, Query(description=MIXED)] = False,
    frames: Annotated[stream.Choice, Query(description=stream.CHOICE)] = "all",
) -> Response:
    """Start several runs that share their seed and input: all of them or none.

    With `Accept: text/event-stream` the answer is an event stream: its first event `submitted` contains the normal
    answer, and the events of all runs follow as from `/runs/events`, which saves a second request. If the connection
    closes before that event, runs that nobody else requested or watches are cancelled.
    """
    specs = parse_comparison(await request.body(), mixed)
    if stream.SSE in request.headers.get("accept", ""):
        place.require_capacity()  # before any run is started; the place itself is taken when the event stream begins
        resources, caller = AsyncExitStack(), Caller(request.is_disconnected)
        resources.push_async_callback(service.withdraw, caller)
        # Subscribe before submitting, because the client that first requested a run may cancel it if nobody watches.
        subscription = resources.enter_context(service.hub.subscribe([spec.id for spec in specs], viewer))
        try:
            submitted = await service.submit(specs, client, limit_s, caller)
            resources.enter_context(place.take())
        except CallerGone:
            await resources.aclose()
            return Response(status_code=CLIENT_CLOSED_REQUEST)
        except BaseException:
            await resources.aclose()
            raise
        return stream.respond_submitted(
            request, service, resources, subscription, specs, submitted, have.split(","), frames
        )
    submitted = await service.submit(specs, client, limit_s)
    bodies = [SubmittedBody.build(item).model_dump() for item in submitted]
    return JSONResponse(bodies, 202 if any(item.is_new for item in submitted) else 200)


@router.get("/runs/events", response_class=Response, responses=STREAM_RESPONSES)
async def stream_runs(
    request: Request,
    service: Service,
    place: StreamPlace,
    viewer: Viewer,
    ids: Annotated[str, Query(max_length=400, description="Run ids, separated by commas.")],
    after: Annotated[
        str | None,
        Query(
            max_length=200, description="Last index seen of each run.", json_schema_extra={"pattern": stream.INDICES}
        ),
    ] = None,
    frames: Annotated[stream.Choice, Query(description=stream.CHOICE)] = "all",
) -> Response:
    """Stream several runs on one connection; `id:` lists the last indices, and resumes like that of one run."""
    names = ids.split(",")
    if not 1 <= len(names) <= MAX_SPECS or len(set(names)) != len(names):
        raise invalid_query("ids", ids, f"1 to {MAX_SPECS} different run ids, separated by commas")
    runs = await asyncio.gather(*(find_run(service, name) for name in names))
    return stream.respond(request, service, place, runs, after, frames, viewer)


@router.get("/runs/{run_id}")
async def get_run(run_id: str, service: Service) -> RunBody:
    """Return status, spec, cost, timings, versions, device and summary."""
    run = await find_run(service, run_id)
    return RunBody.build(run, service.position(run_id), service.explain_wait(run))


@router.get("/runs/{run_id}/events", response_class=Response, responses=STREAM_RESPONSES)
async def stream_run(
    request: Request,
    run_id: str,
    service: Service,
    place: StreamPlace,
    viewer: Viewer,
    after: Annotated[
        str | None,
        Query(max_length=20, description="Last index seen.", json_schema_extra={"pattern": stream.ONE_INDEX}),
    ] = None,
    frames: Annotated[stream.Choice, Query(description=stream.CHOICE)] = "all",
) -> Response:
    """Stream frames as Server-Sent Events, or as lines of JSON with `Accept: application/x-ndjson`."""
    run = await find_run(service, run_id)
    return stream.respond(request, service, place, [run], after, frames, viewer)


@router.delete("/runs/{run_id}")
async def cancel_run(run_id: str, service: Service, client: Runner, viewer: Viewer) -> CancelBody:
    """Cancel a run of the caller's own, unless another viewer has an event stream open on it. Idempotent."""
    run = await find_run(service, run_id)
    if not client.owns(run.client):
        detail = f"the run is {run.status}"
        if run.is_live:
            detail = "the run continues: another client requested it first"
        return CancelBody(id=run_id, status=run.status, watchers=0, detail=detail)
    cancelled = await service.cancel(run, viewer)
    status = cancelled.run.status
    detail = f"the run is {status}"
    if cancelled.is_wanted:
        detail = "the run continues: another client has just requested it too"
    if cancelled.watchers:
        detail = f"the run continues: {cancelled.watchers} other event streams are open on it"
    return CancelBody(id=run_id, status=status, watchers=cancelled.watchers, detail=detail)
