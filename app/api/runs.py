"""Routes of runs: start, look, follow, take away, cancel."""

import asyncio
import math
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import JSONResponse
from starlette.responses import Response

from app.api.http import stream
from app.api.http.bodies import MAX_SPECS, parse_comparison
from app.api.http.problems import Problem, not_found
from app.api.models import API, CancelBody, RunBody, SubmittedBody
from app.engine.contract import RUN
from app.services.results import FORMATS, read_result
from app.services.runs import Runs
from app.store.runs import Run
from mhc_core.record.result import Result
from mhc_core.spec import SpecError, parse_spec

router = APIRouter(prefix=API, tags=["runs"])

SPEC_BODY = {"content": {"application/json": {"schema": {"$ref": "#/components/schemas/RunSpec"}}}}
SPECS_BODY = {
    "content": {
        "application/json": {
            "schema": {
                "type": "array",
                "maxItems": MAX_SPECS,
                "items": {"$ref": "#/components/schemas/RunSpec"},
            }
        }
    }
}
LIMIT = "Where all that is not known is predicted to take longer, nothing is started: its status is `unstarted`."
HAVE = "Ids of runs that the caller has whole, separated by commas: a stream leaves their frames out."
MAX_HAVE = 2000
POST_RESPONSES: dict[int | str, dict[str, Any]] = {
    202: {"description": "Accepted: it waits or is computed"},
    200: {"description": "Known: nothing new is computed"},
}
STREAM_RESPONSES: dict[int | str, dict[str, Any]] = {
    200: {"content": {stream.SSE: {}, stream.NDJSON: {}}, "description": "Frames"},
    204: {"description": "The run has ended and nothing is left to send"},
}


def get_service(request: Request) -> Runs:
    """The service of this app."""
    service: Runs = request.app.state.runs
    return service


def get_client(request: Request) -> str:
    """Who asks, for the bound on runs a client."""
    return request.client.host if request.client else "unknown"


def get_viewer(
    request: Request,
    viewer: Annotated[
        str | None,
        Query(max_length=64, description="A token of the caller's own; else its address."),
    ] = None,
) -> str:
    """Whose event stream this is: a DELETE is not held up by streams of the viewer that sends it."""
    return viewer or get_client(request)


Service = Annotated[Runs, Depends(get_service)]
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
    if run.status != "done":
        why = f"run {run_id} is {run.status}" + (f": {run.reason}" if run.reason else "")
        raise Problem("not-ready", 409, why, headers={"Retry-After": "1"} if run.is_live else {})
    return run


async def load_result(service: Runs, run: Run) -> Result:
    """The run's columns."""
    return await read_result(service.log.read_all(run.id))


@router.post(
    "/runs",
    status_code=202,
    response_model=SubmittedBody,
    responses=POST_RESPONSES,
    openapi_extra={"requestBody": SPEC_BODY},
)
async def post_run(request: Request, service: Service) -> Response:
    """Start a run, or find it where the same spec is known: 202 new, 200 known."""
    spec = parse_spec(await request.body())
    (submitted,) = await service.submit([spec], get_client(request))
    body = SubmittedBody.build(submitted)
    headers = {"Location": body.links.self}
    return JSONResponse(body.model_dump(), 202 if submitted.is_new else 200, headers)


@router.post(
    "/runs/compare",
    status_code=202,
    response_model=list[SubmittedBody],
    responses=POST_RESPONSES,
    openapi_extra={"requestBody": SPECS_BODY},
)
async def post_comparison(
    request: Request,
    service: Service,
    viewer: Viewer,
    limit_s: Annotated[float, Query(gt=0, description=LIMIT)] = math.inf,
    have: Annotated[str, Query(max_length=MAX_HAVE, description=HAVE)] = "",
) -> Response:
    """Start several runs that share their seed and input: all of them or none.

    With `Accept: text/event-stream` the answer goes on: an event `submitted` holds what else is the whole answer,
    and the events of all runs follow as from `/runs/events`, which saves a second request.
    """
    is_followed = stream.SSE in request.headers.get("accept", "")
    if is_followed:
        stream.require_stream(service, request.app.state.settings)
    submitted = await service.submit(parse_comparison(await request.body()), get_client(request), limit_s)
    if is_followed:
        settings = request.app.state.settings
        return stream.respond_submitted(request, service, settings, submitted, have.split(","), viewer)
    bodies = [SubmittedBody.build(item).model_dump() for item in submitted]
    return JSONResponse(bodies, 202 if any(item.is_new for item in submitted) else 200)


@router.get("/runs/events", response_class=Response, responses=STREAM_RESPONSES)
async def get_joint_events(
    request: Request,
    service: Service,
    viewer: Viewer,
    ids: Annotated[str, Query(max_length=400, description="Run ids, separated by commas.")],
    after: Annotated[str | None, Query(max_length=200, description="Last index seen of each run.")] = None,
) -> Response:
    """Several runs on one connection; `id:` is the list of last indices, and resumes like a single stream."""
    names = ids.split(",")
    if not 1 <= len(names) <= MAX_SPECS or len(set(names)) != len(names):
        error = SpecError("ids", ids, f"1 to {MAX_SPECS} different run ids, separated by commas")
        raise Problem("invalid-query", 422, str(error), errors=[error])
    runs = await asyncio.gather(*(find_run(service, name) for name in names))
    return stream.respond(request, service, request.app.state.settings, runs, after, viewer)


@router.get("/runs/{run_id}", response_model=RunBody)
async def get_run(run_id: str, service: Service) -> RunBody:
    """Status, spec, cost, timings, versions, device and summary."""
    run = await find_run(service, run_id)
    return RunBody.build(run, service.engine.position(run_id))


@router.get("/runs/{run_id}/events", response_class=Response, responses=STREAM_RESPONSES)
async def get_events(
    request: Request,
    run_id: str,
    service: Service,
    viewer: Viewer,
    after: Annotated[str | None, Query(max_length=20, description="Last index seen.")] = None,
) -> Response:
    """Frames as Server-Sent Events, or as lines of JSON with `Accept: application/x-ndjson`."""
    run = await find_run(service, run_id)
    return stream.respond(request, service, request.app.state.settings, [run], after, viewer)


@router.get("/runs/{run_id}/result", response_class=Response)
async def get_result(request: Request, run_id: str, service: Service) -> Response:
    """The whole result as columns, in the first of JSON, CSV and NPZ that `Accept` names; JSON without it."""
    accept = request.headers.get("accept", "")
    ending = next((name for name, (media, _) in FORMATS.items() if media in accept), "json")
    return await get_result_as(run_id, ending, service)  # type: ignore[arg-type]


@router.get("/runs/{run_id}/result.{ending}", response_class=Response)
async def get_result_as(run_id: str, ending: Literal["json", "csv", "npz"], service: Service) -> Response:
    """The whole result as columns."""
    run = await find_done(service, run_id)
    result = await load_result(service, run)
    media_type, write = FORMATS[ending]
    body = await asyncio.to_thread(write, run_id, result)
    # A finished run never changes, and its id names the numerics.
    headers = {"ETag": f'"{run_id}-{ending}"', "Cache-Control": "private, max-age=86400"}
    if ending != "json":
        headers["Content-Disposition"] = f'attachment; filename="mhc-scope-{run_id}.{ending}"'
    return Response(body, headers=headers, media_type=media_type)


@router.delete("/runs/{run_id}", response_model=CancelBody)
async def delete_run(run_id: str, service: Service, viewer: Viewer) -> CancelBody:
    """Cancel a run, unless another viewer's event stream is open on it. Idempotent."""
    cancelled = await service.cancel(await find_run(service, run_id), viewer)
    status = cancelled.run.status
    detail = f"the run is {status}"
    if cancelled.watchers:
        detail = f"the run goes on: {cancelled.watchers} other event streams are open on it"
    return CancelBody(id=run_id, status=status, watchers=cancelled.watchers, detail=detail)
