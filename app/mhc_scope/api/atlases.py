"""Serve the atlas of a run: the effect of every single cut of its stack."""

from fastapi import APIRouter, Depends
from starlette.responses import Response

from mhc_core.measure.atlas import list_cuts
from mhc_core.record.frames import AnyFrame
from mhc_core.record.source import SpecSource
from mhc_core.record.stages import AtlasFrame
from mhc_core.spec import SpecError
from mhc_scope.api import on_demand
from mhc_scope.api.contents import Responses
from mhc_scope.api.dependencies import Runner, Service, Viewer, charge_reading, find_done
from mhc_scope.api.models.atlases import AtlasBody, CutBody
from mhc_scope.api.models.links import API
from mhc_scope.api.problems import not_available, not_found
from mhc_scope.engine.contract import ATLAS
from mhc_scope.services.runs import read_spec
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
        raise not_available(SpecError("edits", len(edits), "none: an atlas is of a run without edits"))
    await service.submit_job(ATLAS, run, client)
    return await on_demand.respond(service, ATLAS, run, _build_body)


@router.get("/runs/{run_id}/atlas", response_model=AtlasBody, responses=RESPONSES)
async def get_atlas(run_id: str, service: Service) -> Response:
    """Return the atlas that POST started, or how far it is; 409 where it failed or was cancelled, with the reason.

    A trace has the atlas that was measured with it, where its model is.
    """
    run = await find_done(service, run_id)
    if isinstance(run.source, SpecSource):
        return await on_demand.respond(service, ATLAS, run, _build_body)
    if (response := await on_demand.read_body(service, ATLAS, run, run.id, _build_body)) is None:
        raise not_found("atlas of run", run.id)
    return response


@router.delete("/runs/{run_id}/atlas", response_model=AtlasBody)
async def cancel_atlas(run_id: str, service: Service, client: Runner, viewer: Viewer) -> Response:
    """Cancel an atlas of the caller's own. Idempotent; the run itself stays."""
    return await on_demand.cancel(service, ATLAS, await find_done(service, run_id), client, viewer, _build_body)


def _build_body(run: StoredRun, status: str, done: float, frame: AnyFrame | None) -> AtlasBody:
    """Build the response about an atlas from its frame; without a frame, only status and progress."""
    if not isinstance(frame, AtlasFrame):
        cuts = [CutBody(what=cut.what, do=cut.do) for cut in list_cuts(read_spec(run))]
        return AtlasBody(run=run.id, status=status, done=done, cuts=cuts)
    return AtlasBody(
        run=run.id,
        status=status,
        done=done,
        cuts=[CutBody(what=cut.what, do=cut.do) for cut in frame.cuts],
        seeds=frame.seeds,
        loss_base=frame.loss_base,
        **{key: value.tolist() for key, value in frame.values.items()},  # not finite: null in JSON
    )
