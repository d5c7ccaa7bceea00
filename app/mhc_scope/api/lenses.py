"""Serve the lens of a run: what its read-out predicts from every state, and how well linear probes read each stream."""

from fastapi import APIRouter, Depends
from starlette.responses import Response

from mhc_core.measure.lens import check_lens
from mhc_core.record.frames import AnyFrame
from mhc_core.record.stages import LensFrame
from mhc_core.spec import SpecError
from mhc_scope.api import on_demand
from mhc_scope.api.contents import Responses
from mhc_scope.api.dependencies import Runner, Service, Viewer, charge_reading, find_done
from mhc_scope.api.models.lenses import LensBody, ProbeBody, TokenBody
from mhc_scope.api.models.links import API
from mhc_scope.api.problems import not_available
from mhc_scope.engine.contract import LENS
from mhc_scope.services.runs import read_spec
from mhc_scope.store.runs import StoredRun

router = APIRouter(prefix=API, tags=["runs"], dependencies=[Depends(charge_reading)])

RESPONSES: Responses = {
    200: {"description": "The lens"},
    202: {"description": "It waits or is computed, `done` says how far: repeat with GET", "model": LensBody},
}


@router.post("/runs/{run_id}/lens", response_model=LensBody, responses=RESPONSES)
async def start_lens(run_id: str, service: Service, client: Runner) -> Response:
    """Read every state of a finished run by its own read-out, and probe what each stream carries.

    A job under the same limits as a run, done once. Of a run with several seeds it is of the first; of one that trains
    of the trained stack; edits act. Gaussian vectors have no classes to read out.
    """
    run = await find_done(service, run_id)
    try:
        check_lens(read_spec(run))
    except SpecError as error:
        raise not_available(error) from None
    await service.submit_job(LENS, run, client)
    return await on_demand.respond(service, LENS, run, _build_body)


@router.get("/runs/{run_id}/lens", response_model=LensBody, responses=RESPONSES)
async def get_lens(run_id: str, service: Service) -> Response:
    """Return the lens that POST started, or how far it is; 409 where it failed or was cancelled, with the reason."""
    return await on_demand.respond(service, LENS, await find_done(service, run_id), _build_body)


@router.delete("/runs/{run_id}/lens", response_model=LensBody)
async def cancel_lens(run_id: str, service: Service, client: Runner, viewer: Viewer) -> Response:
    """Cancel a lens of the caller's own. Idempotent; the run itself stays."""
    return await on_demand.cancel(service, LENS, await find_done(service, run_id), client, viewer, _build_body)


def _build_body(run: StoredRun, status: str, done: float, frame: AnyFrame | None) -> LensBody:
    """Build the response about a lens from its frame; without a frame, only status and progress."""
    if not isinstance(frame, LensFrame):
        return LensBody(run=run.id, status=status, done=done)
    values = {key: value.tolist() for key, value in frame.values.items()}  # not finite: null in JSON
    top, probe = values.pop("top"), values.pop("probe")
    return LensBody(
        run=run.id,
        status=status,
        done=done,
        subsets=frame.subsets,
        tokens=[
            [TokenBody(token=token, probability=share) for token, share in zip(names, shares, strict=True)]
            for names, shares in zip(frame.tokens, top, strict=True)
        ],
        context=frame.context,
        target=frame.target,
        probes=[
            ProbeBody(target=target, chance=chance, accuracy=accuracy)
            for target, chance, accuracy in zip(frame.targets, frame.chance, probe, strict=True)
        ],
        probed=frame.probed,
        **values,
    )
