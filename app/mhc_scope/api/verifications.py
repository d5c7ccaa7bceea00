"""Serve verifications, which compare a finished run with the laws that apply to it and with its recomputation."""

import asyncio

from fastapi import APIRouter, Depends
from starlette.responses import JSONResponse, Response

from mhc_core.checks.consistency import check_record
from mhc_core.checks.verification import verify
from mhc_core.record import codec
from mhc_core.record.frames import RecomputationFrame
from mhc_core.record.result import Result
from mhc_core.record.source import TraceSource
from mhc_scope.api.contents import Responses
from mhc_scope.api.dependencies import Runner, Service, charge_reading, find_done, load_result
from mhc_scope.api.models.links import API, to_links
from mhc_scope.api.models.verifications import VerificationBody
from mhc_scope.api.on_demand import find_job
from mhc_scope.api.problems import Problem
from mhc_scope.engine.contract import VERIFICATION
from mhc_scope.services.runs import Runs, read_spec
from mhc_scope.store.runs import StoredRun

router = APIRouter(prefix=API, tags=["runs"], dependencies=[Depends(charge_reading)])

# A POST waits this long for the result; small runs need less.
WAIT_S = 20.0
RESPONSES: Responses = {
    200: {"description": "The checks"},
    202: {"description": "The recomputation waits or is computed: repeat with GET", "model": VerificationBody},
}


@router.post("/runs/{run_id}/verify", response_model=VerificationBody, responses=RESPONSES)
async def verify_run(run_id: str, service: Service, client: Runner) -> Response:
    """Compare a finished run with every law that applies, and recompute it in float64.

    The recomputation is a job under the same limits as a run, done once; the answer waits for it for some seconds. A
    trace, whose model is not here, is compared with the relations between its own numbers.
    """
    run = await find_done(service, run_id)
    if isinstance(run.source, TraceSource):
        return await _check_trace(service, run)
    submitted = await service.submit_job(VERIFICATION, run, client)
    if submitted.status != "done":
        await _wait_for_end(service, submitted.run_id)
    return await _respond_with_job(service, run)


@router.get("/runs/{run_id}/verify", response_model=VerificationBody, responses=RESPONSES)
async def get_verification(run_id: str, service: Service) -> Response:
    """Return the result of a verification that POST started; 409 where its recomputation failed, with the reason."""
    run = await find_done(service, run_id)
    if isinstance(run.source, TraceSource):
        return await _check_trace(service, run)
    return await _respond_with_job(service, run)


async def _check_trace(service: Runs, run: StoredRun) -> Response:
    """Respond with checks of a recording's numbers against each other, because it cannot be recomputed here."""
    checks = await asyncio.to_thread(check_record, await load_result(service, run))
    return _respond_with_body(VerificationBody.build(run.id, checks))


async def _respond_with_job(service: Runs, run: StoredRun) -> Response:
    """Respond with the checks of a run: 200 if its recomputation is done, 202 while it runs, else 404 or 409."""
    job = await find_job(service, VERIFICATION, run)
    if job.is_live:
        body = VerificationBody(run=run.id, status=job.status, verdict=None, summary="", checks=[])
        return JSONResponse(body.model_dump(), 202, {"Location": f"{to_links(run.id).self}/verify", "Retry-After": "1"})
    if job.status != "done":
        raise Problem("not-ready", 409, f"the recomputation of run {run.id} is {job.status}: {job.reason}")
    await service.store.touch(job)
    (line, *_) = await service.log.read(job.id, -1)
    return _respond_with_body(await asyncio.to_thread(_run_checks, run, await load_result(service, run), line))


def _respond_with_body(body: VerificationBody) -> Response:
    """Respond with the checks of a run as JSON."""
    return Response(codec.to_json(body.model_dump()), media_type="application/json")


def _run_checks(run: StoredRun, result: Result, line: bytes) -> VerificationBody:
    """Return all checks of a run. line: the encoded frame of its recomputation."""
    recomputed = codec.decode_line(line)
    assert isinstance(recomputed, RecomputationFrame), "a verification has one frame"
    return VerificationBody.build(run.id, verify(read_spec(run), result, recomputed))


async def _wait_for_end(service: Runs, job_id: str) -> None:
    """Wait until a recomputation has ended, at most for `WAIT_S`."""
    loop = asyncio.get_running_loop()
    until = loop.time() + WAIT_S
    with service.hub.subscribe([job_id], viewer="") as subscription:
        while (left := until - loop.time()) > 0 and not service.hub.closing:
            job = await service.store.get(job_id)
            if job is None or not job.is_live:
                return
            await subscription.wait(left)
