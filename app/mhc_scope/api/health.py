"""Report the health of the server: whether it is alive, and whether it can accept runs."""

from fastapi import APIRouter, Request
from starlette.responses import JSONResponse

from mhc_scope.api.contents import Responses
from mhc_scope.api.credentials import require
from mhc_scope.api.dependencies import InstalledPolicy, Service
from mhc_scope.api.models.operations import LivenessBody, ReadinessBody, ReadinessCheckBody
from mhc_scope.services.readiness import Inspector

router = APIRouter(tags=["operations"])

NOT_READY: Responses = {503: {"description": "Not yet, or no longer", "model": ReadinessBody}}


@router.get("/livez", openapi_extra=require())
async def get_liveness() -> LivenessBody:
    """Return 200 for probes of liveness: the process answers."""
    return LivenessBody(status="alive")


@router.get("/readyz", response_model=ReadinessBody, responses=NOT_READY, openapi_extra=require())
async def get_readiness(request: Request, service: Service, policy: InstalledPolicy) -> JSONResponse:
    """Return 200 if the database can be written, a worker is warm and the server is not stopping, else 503."""
    inspector: Inspector = request.app.state.inspector
    found = await inspector.inspect()
    body = ReadinessBody(
        status="ready" if found.is_ready else "not ready",
        checks={
            check.name: ReadinessCheckBody(ok=check.why is None, why=check.why, needed=check.is_needed)
            for check in found.checks
        },
        used_bytes=None if found.space is None else found.space.used_bytes,
        free_bytes=None if found.space is None else found.space.free_bytes,
        workers=service.engine.ready_workers,
        waiting=service.waiting,
        running=service.engine.running,
        streams=policy.event_streams.open,
        frames_stored=service.frames_stored,
        ended=dict(service.ended),
    )
    return JSONResponse(body.model_dump(), 200 if found.is_ready else 503)
