"""Collect the Prometheus metrics at /metrics: counts of events, and values that are read when /metrics is requested."""

import asyncio
import shutil
import time
from pathlib import Path

import prometheus_client as prometheus
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from mhc_scope import log_context
from mhc_scope.services.encoder import Encoder
from mhc_scope.services.runs import Runs
from mhc_scope.services.streams import StreamLimit
from mhc_service.operator_queries import EndedRun, LiveRun, OperatorQueries

# Buckets of histograms. A run may take from a millisecond to minutes, and may wait as long.
SECONDS = (0.05, 0.1, 0.25, 0.5, 1, 2, 5, 10, 20, 30, 60, 120, 300, 600)
# The row of an ended run may be committed late: search for this time back, and count each run once.
LATE_S = 120.0
MAX_ENDED = 10_000
STREAMED = ("text/event-stream", "application/x-ndjson")


class MetricsRegistry:
    """All metrics of one app, in a separate registry, so that two apps in one process do not share counts."""

    def __init__(self) -> None:
        self.registry = prometheus.CollectorRegistry()
        self._started_at = self._observed_at = time.time()
        self._seen: dict[str, float] = {}
        self._observing = asyncio.Lock()
        self._add_requests()
        self._add_runs()
        self._add_capacity()

    def _add_requests(self) -> None:
        """Define the counters, histogram and gauges of requests."""
        at = self.registry
        counted = ["method", "route", "status"]
        self.requests = prometheus.Counter("mhc_http_requests", "Requests answered", counted, registry=at)
        timed = "Time to the head of the answer"
        self.first_byte = prometheus.Histogram("mhc_http_first_byte_seconds", timed, ["route"], registry=at)
        refused = "Requests refused, by kind of problem"
        self.refusals = prometheus.Counter("mhc_refusals", refused, ["kind", "status"], registry=at)
        self.streams = prometheus.Gauge("mhc_streams_open", "Event streams open", registry=at)
        by_route = "Event streams open, by route"
        self.streams_by_route = prometheus.Gauge("mhc_streams_by_route", by_route, ["route"], registry=at)

    def _add_runs(self) -> None:
        """Define the gauges and histograms of runs and of the queue."""
        at = self.registry
        self.runs = prometheus.Gauge("mhc_runs", "Runs stored, by status", ["status"], registry=at)
        self.ended = prometheus.Gauge("mhc_runs_ended", "Runs ended since the start", ["status"], registry=at)
        self.frames = prometheus.Gauge("mhc_frames_stored", "Frames stored since the start", registry=at)
        self.waiting = prometheus.Gauge("mhc_queue_waiting", "Runs in the queue", registry=at)
        self.running = prometheus.Gauge("mhc_queue_running", "Runs being computed", registry=at)
        self.clients = prometheus.Gauge("mhc_queue_clients", "Clients whose runs wait", registry=at)
        self.queued_s = prometheus.Gauge("mhc_queue_seconds", "Predicted seconds of all runs that wait", registry=at)
        oldest = "Age of the run that has waited longest"
        self.oldest_s = prometheus.Gauge("mhc_queue_oldest_seconds", oldest, registry=at)
        waited = "Time from the request for a run to its start"
        self.waited_s = prometheus.Histogram("mhc_run_wait_seconds", waited, ["kind"], buckets=SECONDS, registry=at)
        kinds, spent = ["kind", "status"], "Time that a run was computed"
        self.spent_s = prometheus.Histogram("mhc_run_seconds", spent, kinds, buckets=SECONDS, registry=at)

    def _add_capacity(self) -> None:
        """Define the gauges of workers, storage and caches."""
        at = self.registry
        self.workers = prometheus.Gauge("mhc_workers_ready", "Workers that have warmed up", registry=at)
        died = "Workers that ended unexpectedly"
        self.deaths = prometheus.Gauge("mhc_worker_deaths", died, registry=at)
        sizes = "Bytes: of frames, of the database with all else, of written results"
        self.store_bytes = prometheus.Gauge("mhc_store_bytes", sizes, ["part"], registry=at)
        self.disk_free = prometheus.Gauge("mhc_disk_free_bytes", "Free on the disk of the data folder", registry=at)
        self.encodings = prometheus.Gauge("mhc_encodings_open", "Large results being written, or waiting", registry=at)
        evicted = "Evictions from caches since the start"
        self.evictions = prometheus.Gauge("mhc_evictions", evicted, ["of"], registry=at)

    def count_file(self, folder: str) -> None:
        """Count a static file that was served without the application; `folder` is the start of its address."""
        self.requests.labels("GET", f"{folder}/{{path:path}}", 200).inc()

    async def observe(
        self, service: Runs, streams: StreamLimit, queries: OperatorQueries, encoder: Encoder, data: Path
    ) -> None:
        """Set all gauges to the present values: of runs, event streams, storage and caches. Count ended runs."""
        async with self._observing:  # two observations at the same time would count a run twice
            await self._observe_service(service)
            self.streams.set(streams.open)
            await self._observe_store(queries)
            self.store_bytes.labels("results").set(await asyncio.to_thread(lambda: encoder.files.size_bytes))
            self.disk_free.set(count_free_bytes(data))
            self.encodings.set(encoder.pool.jobs)
            self.evictions.labels("results").set(encoder.files.evicted)
            self.evictions.labels("logs").set(service.log.evicted)

    async def _observe_service(self, service: Runs) -> None:
        """Set the gauges of runs and workers."""
        counts = await service.store.count_by_status()
        self.runs.clear()  # otherwise a status that no run has any more would keep its last count
        for status, count in counts.items():
            self.runs.labels(status).set(count)
        for status, count in service.ended.items():
            self.ended.labels(status).set(count)
        self.frames.set(service.frames_stored)
        self.waiting.set(service.waiting)
        self.running.set(service.engine.running)
        self.workers.set(service.engine.ready_workers)
        self.deaths.set(service.engine.worker_deaths)

    async def _observe_store(self, queries: OperatorQueries) -> None:
        """Set the gauges of the queue and of stored bytes, and count the runs that ended since the last observation."""
        self._observe_queue(await queries.list_live())
        observed_at = time.time()
        self._observe_ended(await queries.list_ended(self._observed_at - LATE_S, MAX_ENDED))
        self._observed_at = observed_at
        of_frames, of_database = await queries.count_bytes()
        self.store_bytes.labels("frames").set(of_frames)
        self.store_bytes.labels("database").set(of_database)

    def _observe_queue(self, live: list[LiveRun]) -> None:
        """Set the gauges of the queue: waiting clients, predicted seconds and the oldest run's age."""
        waiting = [run for run in live if run.status == "queued"]
        self.clients.set(len({run.client for run in waiting}))
        self.queued_s.set(sum(run.predicted_s for run in waiting))
        self.oldest_s.set(max((time.time() - run.created_at for run in waiting), default=0.0))

    def _observe_ended(self, ended: list[EndedRun]) -> None:
        """Add waiting and computing times of ended runs to the histograms, each run once, in any order of commits."""
        for run in ended:
            is_old = run.finished_at < self._started_at or self._seen.get(run.id) == run.finished_at
            if is_old or run.started_at is None:
                continue
            self.waited_s.labels(run.kind).observe(max(0.0, run.started_at - run.created_at))
            self.spent_s.labels(run.kind, run.status).observe(max(0.0, run.finished_at - run.started_at))
        self._seen = {run.id: run.finished_at for run in ended}


def count_free_bytes(folder: Path) -> int:
    """Return the free bytes on the disk of a folder. The folder may have been deleted; then a parent is used."""
    place = next(place for place in (folder.resolve(), *folder.resolve().parents) if place.exists())
    return shutil.disk_usage(place).free


class RequestMetrics:
    """ASGI middleware that counts responses by route, and not by path, because clients can invent any path."""

    def __init__(self, app: ASGIApp, metrics_registry: MetricsRegistry) -> None:
        self._app, self._metrics_registry = app, metrics_registry

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Call the app; count its response, and measure the time until its headers are sent."""
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        started = time.perf_counter()
        streaming: list[str] = []

        async def send_counted(message: Message) -> None:
            """Send a message of the response; count the response when its headers are sent."""
            if message["type"] == "http.response.start":
                route = getattr(scope.get("route"), "path", "none")
                self._count_answer(scope["method"], route, message["status"])
                self._metrics_registry.first_byte.labels(route).observe(time.perf_counter() - started)
                if is_stream(message):
                    streaming.append(route)
                    self._metrics_registry.streams_by_route.labels(route).inc()
            await send(message)

        try:
            return await self._app(scope, receive, send_counted)
        finally:
            for route in streaming:
                self._metrics_registry.streams_by_route.labels(route).dec()

    def _count_answer(self, method: str, route: str, status: int) -> None:
        """Count a response by method, route and status. Count a refusal also by the kind of its problem."""
        self._metrics_registry.requests.labels(method, route, status).inc()
        if status >= 400:
            kind = log_context.read().get("problem", "none")
            self._metrics_registry.refusals.labels(kind, status).inc()


def is_stream(response_start: Message) -> bool:
    """Return whether the response with this start message is a stream of events or frames."""
    headers = dict(response_start["headers"])
    return headers.get(b"content-type", b"").decode("latin-1").startswith(STREAMED)
