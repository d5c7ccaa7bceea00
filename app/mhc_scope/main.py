"""Build the app from its settings."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

from fastapi import Depends, FastAPI
from starlette.middleware.cors import CORSMiddleware
from starlette.middleware.gzip import DEFAULT_EXCLUDED_CONTENT_TYPES, GZipMiddleware

from mhc_scope import limits, spans
from mhc_scope.api import health, openapi, problems, request_spans
from mhc_scope.api.body_limit import BodyLimit
from mhc_scope.api.cached_files import TURNS
from mhc_scope.api.dependencies import require_read
from mhc_scope.api.head import HeadAsGet
from mhc_scope.api.hosts import AllowedHosts
from mhc_scope.api.models.links import API
from mhc_scope.api.models.traces import MAX_BATCH_BYTES
from mhc_scope.api.proxies import TrustedProxies
from mhc_scope.api.request_log import RequestLog
from mhc_scope.api.root_path import RootPath
from mhc_scope.api.routers import OWNER_ROUTERS, ROUTERS
from mhc_scope.api.stream import NDJSON
from mhc_scope.engine.registry import build_engine
from mhc_scope.extension import NAME, Extension, load_extension, open_database
from mhc_scope.pages import link_cards, routes, security
from mhc_scope.pages.assets import FIRST_MODULE, FOLDERS, Assets
from mhc_scope.pages.link_pictures import Pictures
from mhc_scope.pages.routes import Pages
from mhc_scope.pages.warmup import warm_up
from mhc_scope.services.encoded_files import EncodedFiles
from mhc_scope.services.encoder import Encoder
from mhc_scope.services.housekeeping import Housekeeping
from mhc_scope.services.live_traces import LiveTraces
from mhc_scope.services.policy import OpenPolicy, Policy
from mhc_scope.services.readiness import Inspector
from mhc_scope.services.runs import Runs
from mhc_scope.services.storage import Storage
from mhc_scope.services.sweep_values import SweepReader
from mhc_scope.services.sweeps import Sweeps
from mhc_scope.services.traces import Traces
from mhc_scope.settings import Settings
from mhc_scope.store.database import Database
from mhc_scope.store.live_traces import LiveTraceStore
from mhc_scope.store.notifications import Hub
from mhc_scope.store.snapshots import SnapshotStore
from mhc_scope.store.store import Store, build_local

# Event streams compress their own chunks, and archives are compressed already.
NOT_COMPRESSED = (*DEFAULT_EXCLUDED_CONTENT_TYPES, NDJSON, "application/octet-stream")


def create_app(settings: Settings) -> FastAPI:
    """Create the FastAPI app with its services, routes and middleware. Its lifespan starts and stops the services.

    Raises
    ------
    UnusableDatabase
        If another server uses the data folder, or its database is not of this version.
    UnknownEngine
        If the settings name an engine that does not exist.
    MissingExtension
        If they request the service and it is not installed.
    NoTelemetry
        If they request spans and the packages for these are missing.
    """
    app = FastAPI(
        lifespan=_run_services,
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        generate_unique_id_function=lambda route: route.name,
        telemetry=request_spans.configure(settings.spans),
    )
    extension = load_extension() if settings.service else None
    added = {NAME: extension.folder} if extension else {}
    assets = app.state.assets = Assets(settings.root, added)
    app.state.settings, app.state.hub, app.state.count_file = settings, Hub(), _count_nothing
    first_module = extension.first_module if extension else FIRST_MODULE
    app.state.pages, app.state.pictures = Pages(assets, settings.root, added, first_module), Pictures()
    app.state.engine = build_engine(settings)
    app.state.database = open_database(settings)
    app.state.store = _build_store(extension, settings, app.state.database, app.state.hub)
    app.state.encoded = EncodedFiles(settings.data / "encoded", limits.ENCODED_BYTES)
    app.state.begin_stop = partial(_begin_stop, app)
    app.state.policy = _build_policy(extension, settings, app.state.database)
    schemes, models = extension.describe() if extension else ({}, {})
    app.openapi = lambda: openapi.describe(app, settings.root, schemes, models)  # type: ignore[method-assign]
    if extension:
        extension.add_routes(app)
    for router in (*ROUTERS, link_cards.router, routes.router):
        app.include_router(router, dependencies=[Depends(require_read)])
    for router in (*OWNER_ROUTERS, health.router):
        app.include_router(router)
    app.add_route("/openapi.json", openapi.get_description, include_in_schema=False)
    for prefix in FOLDERS:
        app.add_route(f"{prefix}/{{path:path}}", assets.respond, include_in_schema=False)
    problems.install_error_handlers(app, security.BARE_HEADERS, routes.show_problem)
    # The last one added is the outermost.
    app.add_middleware(GZipMiddleware, compresslevel=5, exclude_content_types=NOT_COMPRESSED)
    app.add_middleware(HeadAsGet)
    streamed = {f"{API}/traces": limits.MAX_TRACE_BYTES, f"{API}/traces/": MAX_BATCH_BYTES}
    app.add_middleware(BodyLimit, max_bytes=limits.MAX_BODY_BYTES, streamed=streamed)
    if settings.origins:
        app.add_middleware(CORSMiddleware, allow_origins=settings.origins, **security.CORS)
    app.add_middleware(AllowedHosts, names=settings.host_names)
    own = {settings.public_origin} if settings.public_url else set()
    app.add_middleware(security.SecurityHeaders, origins={*settings.origins, *own})
    if extension:
        extension.add_middleware(app)
    app.add_middleware(RequestLog)
    app.add_middleware(RootPath, root_path=settings.root)
    app.add_middleware(TrustedProxies, trusted=settings.forwarded_allow_ips)
    return app


def _build_policy(extension: Extension | None, settings: Settings, database: Database) -> Policy:
    return OpenPolicy(settings) if extension is None else extension.build_policy(settings, database)


def _build_store(extension: Extension | None, settings: Settings, database: Database, hub: Hub) -> Store:
    return build_local(database, hub) if extension is None else extension.build_store(settings, database, hub)


def _count_nothing(folder: str) -> None:
    """Do nothing when a static file is sent, because only the service has metrics."""


def _begin_stop(app: FastAPI) -> None:
    """Close event streams and stop restoring deleted files. Running requests may still finish."""
    app.state.hub.close()
    app.state.database.begin_stop()
    app.state.encoded.begin_stop()


@asynccontextmanager
async def _run_services(app: FastAPI) -> AsyncIterator[None]:
    """Create and start the services of the app; stop them when the context ends."""
    settings: Settings = app.state.settings
    database, hub = app.state.database, app.state.hub
    app.state.snapshots = SnapshotStore(database)
    storage = app.state.storage = Storage(settings, database)
    app.state.runs = Runs(settings, app.state.policy, app.state.store, app.state.engine, hub, storage)
    app.state.inspector = Inspector(settings, app.state.runs, database)
    app.state.traces = Traces(app.state.runs.store, app.state.policy, storage)
    app.state.live_traces = LiveTraces(settings, app.state.runs, LiveTraceStore(database))
    app.state.sweeps = Sweeps(settings, app.state.runs, app.state.store.sweeps)
    app.state.sweep_values = SweepReader(app.state.runs)
    housekeeping = Housekeeping(settings, database, storage)
    app.state.download_turns = asyncio.Semaphore(TURNS)
    app.state.encoder = Encoder(app.state.runs.log, app.state.encoded)
    try:
        await app.state.encoder.start()
        await app.state.runs.start()
        await app.state.sweeps.resume()
        await housekeeping.start()
        await app.state.live_traces.start()
        warming = asyncio.create_task(asyncio.to_thread(warm_up, app.state.pages))
        yield
        await warming
    finally:
        app.state.begin_stop()
        app.state.encoder.stop()
        await housekeeping.stop()
        await app.state.sweeps.stop()
        await app.state.live_traces.stop()
        await app.state.runs.stop()
        await database.close()
        await asyncio.to_thread(spans.stop)  # it may wait for the collector
