"""Serve jobs about a run, an atlas or a lens, which are computed once, on request. Routes of both share this code."""

from collections.abc import Callable

from pydantic import BaseModel
from starlette.responses import JSONResponse, Response

from mhc_core.record import codec
from mhc_core.record.frames import AnyFrame
from mhc_core.record.stages import ProgressFrame
from mhc_scope.api.models.links import to_links
from mhc_scope.api.problems import Problem, not_found
from mhc_scope.services.identity import ClientIdentity
from mhc_scope.services.runs import Runs
from mhc_scope.store.runs import StoredRun

Build = Callable[[StoredRun, str, float, AnyFrame | None], BaseModel]
"""Builds a body from the run, the status of its job, the fraction that is done and the result frame, if it exists."""


async def find_job(service: Runs, kind: str, run: StoredRun) -> StoredRun:
    """Return the job of a kind about a run, such as its atlas; raise the problem 404 if none was started."""
    job = await service.store.find_job(kind, run.id)
    if job is None:
        raise not_found(f"{kind} of run", run.id)
    return job


async def respond(service: Runs, kind: str, run: StoredRun, build: Build) -> Response:
    """Respond with the result of a job about a run: 200 if it is done, 202 while it waits or is computed, else 409."""
    job = await find_job(service, kind, run)
    if job.is_live:
        body = build(run, job.status, await _read_share(service, job), None)
        headers = {"Location": f"{to_links(run.id).self}/{kind}", "Retry-After": "1"}
        return JSONResponse(body.model_dump(), 202, headers)
    if job.status != "done":
        raise Problem("not-ready", 409, f"the {kind} of run {run.id} is {job.status}: {job.reason}")
    await service.store.touch(job)
    response = await read_body(service, kind, run, job.id, build)
    assert response is not None, f"a job of the kind {kind} that is done has its frame"
    return response


async def read_body(service: Runs, kind: str, run: StoredRun, record_id: str, build: Build) -> Response | None:
    """Return the response body built from a job's result frame; None if the frame is not stored yet."""
    async for line in service.log.read_all(record_id):
        frame = codec.decode_line(line)
        if frame.type == kind:
            body = build(run, "done", 1.0, frame)
            return Response(codec.to_json(body.model_dump()), media_type="application/json")
    return None


async def cancel(
    service: Runs, kind: str, run: StoredRun, client: ClientIdentity, viewer: str, build: Build
) -> Response:
    """Cancel a job about a run if the client has requested it, and respond with the job's status."""
    job = await find_job(service, kind, run)
    if client.owns(job.client):
        job = (await service.cancel(job, viewer)).run
    return JSONResponse(build(run, job.status, await _read_share(service, job), None).model_dump())


async def _read_share(service: Runs, job: StoredRun) -> float:
    """Return the fraction of a job that is done, 0 to 1, from its last progress frame."""
    done = 0.0
    async for line in service.log.read_all(job.id):
        frame = codec.decode_line(line)
        done = frame.done if isinstance(frame, ProgressFrame) else done
    return done
