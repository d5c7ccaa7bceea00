"""Define what another package may add to the server: settings, a store, a policy, routes, pages and middleware.

`mhc-scope serve --service` looks for the entry point `service` of the group `mhc_scope.extensions`.
"""

from importlib.metadata import entry_points
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from mhc_scope.settings import Settings

if TYPE_CHECKING:  # these take a second to import, and errors in the arguments should be reported before
    from fastapi import FastAPI

    from mhc_scope.services.policy import Policy
    from mhc_scope.store.database import Database
    from mhc_scope.store.notifications import Hub
    from mhc_scope.store.store import Store

GROUP, NAME = "mhc_scope.extensions", "service"


class MissingExtension(RuntimeError):
    """`--service` is set, and no package provides it."""


class Extension(Protocol):
    """The interface of the object to which the entry point refers.

    Attributes
    ----------
    settings_type: class of the settings of a server with the extension.
    folder: folder with `templates/` and `static/`. Pages refer to their files as `service/page.html` and
        `service/page.js`; scripts import those of the instrument as `mhc-scope/net/api.js`.
    first_module: the first script of the instrument's page, which adds to the page and imports `mhc-scope/app.js`.
    """

    settings_type: type[Settings]
    folder: Path
    first_module: str

    def open_database(self, settings: Settings, *, is_secondary: bool) -> "Database":
        """Open the database that the settings name."""
        ...

    def build_store(self, settings: Settings, database: "Database", hub: "Hub") -> "Store":
        """Return the store of runs, frames, snapshots and sweeps that uses a database."""
        ...

    def build_policy(self, settings: Settings, database: "Database") -> "Policy":
        """Return the policy, which decides what each client may do, and how much."""
        ...

    def add_routes(self, app: "FastAPI") -> None:
        """Add the extension's routes to the app, before those of the instrument, which they may replace."""
        ...

    def add_middleware(self, app: "FastAPI") -> None:
        """Add middleware to the app, so that requests pass it before the middleware of the instrument."""
        ...

    def describe(self) -> tuple[dict[str, dict[str, str]], dict[str, Any]]:
        """Return additions to the API description: kinds of credentials, and models of request bodies, by name."""
        ...


def find_extension() -> Extension | None:
    """Return the installed extension; None if no package provides it, or its folder is missing."""
    for point in entry_points(group=GROUP, name=NAME):
        if find_spec(point.module.partition(".")[0]) is not None:
            return point.load()
    return None


def load_extension() -> Extension:
    """Return the installed extension.

    Raises
    ------
    MissingExtension
        If no package provides it.
    """
    found = find_extension()
    if found is None:
        raise MissingExtension("MHC_SERVICE, --service: no installed package provides the service (mhc_service)")
    return found


def open_database(settings: Settings, *, is_secondary: bool = False) -> "Database":
    """Open the database that the settings name: SQLite, or with `--service` the one that the extension opens.

    is_secondary: whether a server may be running, so that the tables are not migrated and must be of this version.

    Raises
    ------
    UnusableDatabase
        If the database cannot be used. The text gives the reason.
    MissingExtension
        If the settings request the service, and it is not installed.
    """
    if settings.service:
        return load_extension().open_database(settings, is_secondary=is_secondary)
    from mhc_scope.store.sqlite_database import SqliteDatabase

    return SqliteDatabase(settings.sqlalchemy_url, is_secondary=is_secondary)
