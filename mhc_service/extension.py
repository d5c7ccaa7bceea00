"""Add the service to the server, as `mhc_scope.extension.Extension` defines. Slow imports are delayed until needed."""

from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from mhc_scope.extension import MissingExtension
from mhc_service.settings import ServiceSettings

if TYPE_CHECKING:
    from fastapi import FastAPI

    from mhc_scope.services.policy import Policy
    from mhc_scope.settings import Settings
    from mhc_scope.store.database import Database
    from mhc_scope.store.notifications import Hub
    from mhc_scope.store.store import Store

NEEDED = ("limits", "markdown_it", "prometheus_client")


class ServiceExtension:
    """Adds accounts, quotas, courses, operators' pages and the queue of several servers to the instrument."""

    settings_type = ServiceSettings
    folder = Path(__file__).resolve().parent
    first_module = "service/index.js"

    def open_database(self, settings: "Settings", *, is_secondary: bool) -> "Database":
        """Open the SQLite or PostgreSQL database that the settings name.

        Raises
        ------
        MissingExtension
            If a package that the service needs is not installed.
        UnusableDatabase
            If the database cannot be used.
        """
        missing = [name for name in NEEDED if find_spec(name) is None]
        if missing:
            raise MissingExtension(f"--service needs {', '.join(missing)}: pip install 'mhc-scope[service]'")
        from mhc_service.queue.store import open_database

        return open_database(settings.sqlalchemy_url, is_secondary=is_secondary)

    def build_store(self, settings: "Settings", database: "Database", hub: "Hub") -> "Store":
        """Return the store of a single server on SQLite, or of one of several servers on PostgreSQL."""
        from mhc_service.queue.store import build_store

        assert isinstance(settings, ServiceSettings)
        return build_store(settings, database, hub)

    def build_policy(self, settings: "Settings", database: "Database") -> "Policy":
        """Return the policy with accounts and quotas."""
        from mhc_service.policy import ServicePolicy

        assert isinstance(settings, ServiceSettings)
        return ServicePolicy(settings, database)

    def add_routes(self, app: "FastAPI") -> None:
        """Add the routes of rooms, of signing in, of the operator's page and of /metrics."""
        from fastapi import Depends

        from mhc_scope.api.dependencies import require_read
        from mhc_service import admin, operators, room_pages, room_routes, sign_in
        from mhc_service.metrics_registry import MetricsRegistry

        app.state.metrics_registry = MetricsRegistry()
        app.state.count_file = app.state.metrics_registry.count_file
        for router in (room_pages.router, room_routes.router):
            app.include_router(router, dependencies=[Depends(require_read)])
        for router in (room_routes.owner_router, operators.router, admin.router, sign_in.router):
            app.include_router(router)

    def add_middleware(self, app: "FastAPI") -> None:
        """Add the middleware that counts responses, and the one that sets cookies."""
        from mhc_service.cookies import ClientCookies
        from mhc_service.metrics_registry import RequestMetrics

        app.add_middleware(ClientCookies, public_url=app.state.settings.public_url)
        app.add_middleware(RequestMetrics, metrics_registry=app.state.metrics_registry)

    def describe(self) -> "tuple[dict[str, dict[str, str]], dict[str, type]]":
        """Return what this add-on adds to the OpenAPI description: security schemes, and models of request bodies."""
        from mhc_service.credentials import SCHEMES
        from mhc_service.room_models import RoomRequest

        return SCHEMES, {"RoomRequest": RoomRequest}


SERVICE = ServiceExtension()
