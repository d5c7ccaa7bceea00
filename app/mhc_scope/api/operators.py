"""Routes for operators: is the server alive, can it take runs, what does it do."""

import prometheus_client as prometheus
from fastapi import APIRouter, Depends, Request
from starlette.responses import JSONResponse, Response

from mhc_scope.api.dependencies import Service, require_operator
from mhc_scope.api.http.contents import Responses, describe_texts
from mhc_scope.api.http.credentials import OPERATOR, require
from mhc_scope.api.instruments import Instruments
from mhc_scope.api.models.operations import LivenessBody, ReadinessBody, ReadinessCheckBody
from mhc_scope.services.readiness import Inspector

router = APIRouter(tags=["operations"])

NOT_READY: Responses = {503: {"description": "Not yet, or no longer", "model": ReadinessBody}}
METRICS = describe_texts({"text/plain": "Counters and gauges in Prometheus' text format."})


@router.get("/livez", openapi_extra=require())
async def get_liveness() -> LivenessBody:
    """The process answers."""
    return LivenessBody(status="alive")


@router.get("/readyz", response_model=ReadinessBody, responses=NOT_READY, openapi_extra=require())
async def get_readiness(request: Request, service: Service) -> JSONResponse:
    """The database can be written, a worker is warm and the server is not stopping: 200, else 503."""
    inspector: Inspector = request.app.state.inspector
    found = await inspector.look()
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
    )
    return JSONResponse(body.model_dump(), 200 if found.is_ready else 503)


@router.get(
    "/metrics",
    dependencies=[Depends(require_operator)],
    response_class=Response,
    responses={200: {"content": METRICS}},
    openapi_extra=require(OPERATOR),
)
async def get_metrics(request: Request, service: Service) -> Response:
    """Counters and gauges as Prometheus reads them."""
    state = request.app.state
    instruments: Instruments = state.instruments
    await instruments.observe(service, state.streams, state.measures, state.encoder, state.settings.data)
    return Response(
        prometheus.generate_latest(instruments.registry),
        headers={"Content-Type": prometheus.CONTENT_TYPE_LATEST},
    )
