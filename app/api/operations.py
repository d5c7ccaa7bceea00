"""Routes for operators: is the server alive, can it take runs, what does it do."""

import time
from typing import Literal

import prometheus_client as prometheus
from fastapi import APIRouter, Request
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.api.dependencies import Service
from app.api.http.contents import Responses, describe_texts
from app.api.models.operations import LivenessBody, ReadinessBody
from app.services.runs import Runs

router = APIRouter(tags=["operations"])

NOT_READY: Responses = {503: {"description": "Not yet, or no longer", "model": ReadinessBody}}
METRICS = describe_texts({"text/plain": "Counters and gauges in Prometheus' text format."})


class Instruments:
    """Everything that /metrics shows. A registry of its own: two apps in one process do not share counts."""

    def __init__(self) -> None:
        at = self.registry = prometheus.CollectorRegistry()
        counted = ["method", "route", "status"]
        self.requests = prometheus.Counter("mhc_http_requests", "Requests answered", counted, registry=at)
        timed = "Time to the head of the answer"
        self.first_byte = prometheus.Histogram("mhc_http_first_byte_seconds", timed, ["route"], registry=at)
        self.runs = prometheus.Gauge("mhc_runs", "Runs stored, by status", ["status"], registry=at)
        self.ended = prometheus.Gauge("mhc_runs_ended", "Runs ended since the start", ["status"], registry=at)
        self.frames = prometheus.Gauge("mhc_frames_stored", "Frames stored since the start", registry=at)
        self.waiting = prometheus.Gauge("mhc_queue_waiting", "Runs in the queue", registry=at)
        self.running = prometheus.Gauge("mhc_queue_running", "Runs being computed", registry=at)
        self.workers = prometheus.Gauge("mhc_workers_ready", "Workers that have warmed up", registry=at)
        self.streams = prometheus.Gauge("mhc_streams_open", "Event streams open", registry=at)

    async def observe(self, service: Runs) -> None:
        """Read what is counted elsewhere."""
        counts = await service.store.count_by_status()
        self.runs.clear()  # a status that no run has any more would keep its last count
        for status, count in counts.items():
            self.runs.labels(status).set(count)
        for status, count in service.ended.items():
            self.ended.labels(status).set(count)
        self.frames.set(service.frames_stored)
        self.waiting.set(service.waiting)
        self.running.set(service.engine.running)
        self.workers.set(service.engine.ready_workers)
        self.streams.set(service.hub.open_streams)


class RequestMetrics:
    """ASGI middleware: counts answers by route, never by path, which anybody can make up."""

    def __init__(self, app: ASGIApp, instruments: Instruments) -> None:
        self._app, self._instruments = app, instruments

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Wrap `send`."""
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        started = time.perf_counter()

        async def send_counted(message: Message) -> None:
            if message["type"] == "http.response.start":
                route = getattr(scope.get("route"), "path", "none")
                self._instruments.requests.labels(scope["method"], route, message["status"]).inc()
                self._instruments.first_byte.labels(route).observe(time.perf_counter() - started)
            await send(message)

        return await self._app(scope, receive, send_counted)


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
    instruments: Instruments = request.app.state.instruments
    await instruments.observe(service)
    return Response(
        prometheus.generate_latest(instruments.registry),
        headers={"Content-Type": prometheus.CONTENT_TYPE_LATEST},
    )
