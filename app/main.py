"""The app: settings in, routes out."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI
from starlette.middleware.cors import CORSMiddleware
from starlette.middleware.gzip import DEFAULT_EXCLUDED_CONTENT_TYPES, GZipMiddleware

from app.api import openapi, operations
from app.api.http import problems
from app.api.http.body_limit import BodyLimit
from app.api.http.stream import NDJSON
from app.api.models.links import API
from app.api.models.traces import MAX_BATCH_BYTES
from app.api.operations import Instruments, RequestMetrics
from app.api.routers import ROUTERS
from app.engine.registry import build_engine
from app.pages import link_cards, routes, security
from app.pages.assets import Assets
from app.pages.link_pictures import Pictures
from app.pages.routes import Pages
from app.services.housekeeping import Housekeeping
from app.services.live_traces import LiveTraces
from app.services.runs import Runs
from app.services.sweep_values import SweepValues
from app.services.sweeps import Sweeps
from app.services.traces import Traces
from app.settings import Settings
from app.store.database import Database
from app.store.live_traces import LiveTraceStore
from app.store.notifications import Hub
from app.store.snapshots import SnapshotStore

# Streams compress themselves, chunk by chunk; an archive is compressed already.
NOT_COMPRESSED = (*DEFAULT_EXCLUDED_CONTENT_TYPES, NDJSON, "application/octet-stream")


def create_app(settings: Settings) -> FastAPI:
    """Everything wired together; what must be started and stopped is in the lifespan.

    Raises
    ------
    UnusableDatabase
        Where another server uses the data folder, or its database is not one of this version.
    UnknownEngine
        Where the settings name an engine that there is not.
    """
    app = FastAPI(
        lifespan=_live,
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        generate_unique_id_function=lambda route: route.name,
    )
    assets = Assets()
    app.state.settings, app.state.hub, app.state.instruments = settings, Hub(), Instruments()
    app.state.pages, app.state.pictures = Pages(assets), Pictures()
    app.state.engine = build_engine(settings)
    app.state.database = Database(settings.sqlalchemy_url)
    app.openapi = lambda: openapi.describe(app)  # type: ignore[method-assign]
    for router in (*ROUTERS, operations.router, link_cards.router, routes.router):
        app.include_router(router)
    app.add_route("/openapi.json", routes.get_openapi, include_in_schema=False)
    for prefix in ("/static", "/vendor"):
        app.add_route(f"{prefix}/{{path:path}}", assets.respond, include_in_schema=False)
    problems.install(app, security.BARE_HEADERS, routes.show_problem)
    # The last one added is the outermost.
    app.add_middleware(GZipMiddleware, compresslevel=5, exclude_content_types=NOT_COMPRESSED)
    streamed = {f"{API}/traces": settings.max_trace_bytes, f"{API}/traces/": MAX_BATCH_BYTES}
    app.add_middleware(BodyLimit, max_bytes=settings.max_body_bytes, streamed=streamed)
    if settings.origins:
        app.add_middleware(CORSMiddleware, allow_origins=settings.origins, **security.CORS)
    app.add_middleware(security.SecurityHeaders, origins=settings.origins)
    app.add_middleware(RequestMetrics, instruments=app.state.instruments)
    return app


@asynccontextmanager
async def _live(app: FastAPI) -> AsyncIterator[None]:
    settings: Settings = app.state.settings
    database, hub = app.state.database, app.state.hub
    app.state.snapshots = SnapshotStore(database)
    app.state.runs = Runs(settings, database, app.state.engine, hub)
    app.state.traces = Traces(settings, app.state.runs.store)
    app.state.live_traces = LiveTraces(settings, app.state.runs, LiveTraceStore(database))
    app.state.sweeps, app.state.sweep_values = Sweeps(settings, app.state.runs), SweepValues(app.state.runs)
    housekeeping = Housekeeping(settings, database)
    try:
        await app.state.runs.start()
        await housekeeping.start()
        await app.state.live_traces.start()
        yield
    finally:
        hub.close()
        await housekeeping.stop()
        await app.state.sweeps.stop()
        await app.state.live_traces.stop()
        await app.state.runs.stop()
        await database.close()
