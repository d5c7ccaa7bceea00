"""Serve the atlas of a run: what every single cut of its stack does."""

import math
from collections.abc import Mapping
from typing import Any

from fastapi import APIRouter, Depends
from starlette.responses import JSONResponse, Response

from mhc_core.measure.atlas import list_cuts
from mhc_core.record import codec
from mhc_core.record.stages import AtlasFrame, ProgressFrame
from mhc_scope.api.dependencies import Runner, Service, Viewer, charge_reading, find_done
from mhc_scope.api.http.contents import Responses
from mhc_scope.api.http.problems import Problem, not_found
from mhc_scope.api.models.atlases import AtlasBody, CutBody
from mhc_scope.api.models.links import API, to_links
from mhc_scope.engine.contract import ATLAS
from mhc_scope.services.runs import Runs, read_spec
from mhc_scope.store.runs import StoredRun

router = APIRouter(prefix=API, tags=["runs"], dependencies=[Depends(charge_reading)])

RESPONSES: Responses = {
    200: {"description": "The atlas"},
    202: {"description": "It waits or is computed, `done` says how far: repeat with GET", "model": AtlasBody},
}


@router.post("/runs/{run_id}/atlas", response_model=AtlasBody, responses=RESPONSES)
async def start_atlas(run_id: str, service: Service, client: Runner) -> Response:
    """Cut every stream of every layer of a finished run, one at a time, and measure what its output loses.

    A job under the same limits as a run, done once. The run must have no edits. Of a run with several seeds the values
    are medians; of one that trains the trained stack is cut.
    """
    run = await find_done(service, run_id)
    if edits := read_spec(run).edits:
        why = f"edits: got {len(edits)}, wanted none: an atlas is of a run without edits"
        raise Problem("not-ready", 409, why)
    await service.submit_job(ATLAS, run, client)
    return await _respond(service, run)


@router.get("/runs/{run_id}/atlas", response_model=AtlasBody, responses=RESPONSES)
async def get_atlas(run_id: str, service: Service) -> Response:
    """Return the atlas that POST started, or how far it is; 409 where it failed or was cancelled, with the reason."""
    return await _respond(service, await find_done(service, run_id))


@router.delete("/runs/{run_id}/atlas", response_model=AtlasBody)
async def cancel_atlas(run_id: str, service: Service, client: Runner, viewer: Viewer) -> Response:
    """Cancel an atlas of the caller's own. Idempotent; the run itself stays."""
    job = await _find_job(service, await find_done(service, run_id))
    if client.owns(job.client):
        job = (await service.cancel(job, viewer)).run
    return JSONResponse((await _to_open_body(service, run_id, job)).model_dump())


async def _find_job(service: Runs, run: StoredRun) -> StoredRun:
    job = await service.store.find_job(ATLAS, run.id)
    if job is None:
        raise not_found("atlas of run", run.id)
    return job


async def _respond(service: Runs, run: StoredRun) -> Response:
    job = await _find_job(service, run)
    if job.is_live:
        body = await _to_open_body(service, run.id, job)
        return JSONResponse(body.model_dump(), 202, {"Location": f"{to_links(run.id).self}/atlas", "Retry-After": "1"})
    if job.status != "done":
        raise Problem("not-ready", 409, f"the atlas of run {run.id} is {job.status}: {job.reason}")
    await service.store.touch(job)
    async for line in service.log.read_all(job.id):
        frame = codec.decode_line(line)
        if isinstance(frame, AtlasFrame):
            return Response(codec.to_json(_to_body(run.id, frame).model_dump()), media_type="application/json")
    raise AssertionError("an atlas that is done has its frame")


async def _to_open_body(service: Runs, run_id: str, job: StoredRun) -> AtlasBody:
    cuts = [CutBody(what=cut.what, do=cut.do) for cut in list_cuts(read_spec(job))]
    return AtlasBody(run=run_id, status=job.status, done=await _read_share(service, job), cuts=cuts)


def _to_body(run_id: str, frame: AtlasFrame) -> AtlasBody:
    return AtlasBody(
        run=run_id,
        status="done",
        done=1.0,
        cuts=[CutBody(what=cut.what, do=cut.do) for cut in frame.cuts],
        seeds=frame.seeds,
        loss_base=frame.loss_base,
        **_to_lists(frame.values),
    )


def _to_lists(values: Mapping[str, Any]) -> dict[str, Any]:
    """Nested lists; null where a value is not finite."""

    def convert(item: Any) -> Any:
        if isinstance(item, list):
            return [convert(one) for one in item]
        return item if math.isfinite(item) else None

    return {key: convert(value.tolist()) for key, value in values.items()}


async def _read_share(service: Runs, job: StoredRun) -> float:
    """Return which share of the layers is done."""
    done = 0.0
    async for line in service.log.read_all(job.id):
        frame = codec.decode_line(line)
        done = frame.done if isinstance(frame, ProgressFrame) else done
    return done
