"""Routes for operators: is the server alive, can it take runs, what does it do."""

from typing import Literal

import prometheus_client as prometheus
from fastapi import APIRouter, Request
from starlette.responses import JSONResponse, Response

from app.api.dependencies import Service
from app.api.http.contents import Responses, describe_texts
from app.api.instruments import Instruments
from app.api.models.operations import LivenessBody, ReadinessBody

router = APIRouter(tags=["operations"])

NOT_READY: Responses = {503: {"description": "Not yet, or no longer", "model": ReadinessBody}}
METRICS = describe_texts({"text/plain": "Counters and gauges in Prometheus' text format."})


@router.get("/livez")
async def get_liveness() -> LivenessBody:
    """The process answers."""
    return LivenessBody(status="alive")


@router.get("/readyz", response_model=ReadinessBody, responses=NOT_READY)
async def get_readiness(service: Service) -> JSONResponse:
    """The database answers and a worker is warm: 200, else 503."""
    await service.store.count_by_status()
    workers = service.engine.ready_workers
    ready = workers > 0 and not service.hub.closing
    status: Literal["ready", "not ready"] = "ready" if ready else "not ready"
    body = ReadinessBody(status=status, workers=workers, waiting=service.waiting)
    return JSONResponse(body.model_dump(), 200 if ready else 503)


@router.get("/metrics", response_class=Response, responses={200: {"content": METRICS}})
async def get_metrics(request: Request, service: Service) -> Response:
    """Counters and gauges as Prometheus reads them."""
    state = request.app.state
    instruments: Instruments = state.instruments
    await instruments.observe(service, state.measures, state.encoder, state.settings.data)
    return Response(
        prometheus.generate_latest(instruments.registry),
        headers={"Content-Type": prometheus.CONTENT_TYPE_LATEST},
    )
