"""Choose the database of a server for groups, SQLite or PostgreSQL, and the stores that use it."""

from mhc_scope import limits
from mhc_scope.store.database import Database
from mhc_scope.store.notifications import Hub
from mhc_scope.store.runs import RunStore
from mhc_scope.store.sqlite_database import SqliteDatabase
from mhc_scope.store.store import Store, build_local
from mhc_service.queue.frame_log import SharedFrameLog
from mhc_service.queue.postgresql import PostgreSQLDatabase
from mhc_service.queue.sweeps import SharedSweepStore
from mhc_service.settings import ServiceSettings


def open_database(url: str, *, is_secondary: bool = False) -> Database:
    """Open a database of SQLite or of PostgreSQL. Raises the errors of the class that the URL selects."""
    kind = SqliteDatabase if url.startswith("sqlite") else PostgreSQLDatabase
    return kind(url, is_secondary=is_secondary)


def build_store(settings: ServiceSettings, database: Database, hub: Hub) -> Store:
    """Return the store of a single server on SQLite, or of one of several servers on PostgreSQL."""
    if not isinstance(database, PostgreSQLDatabase):
        return build_local(database, hub)
    from mhc_service.queue.shared import SharedQueue  # it imports psycopg, which SQLite does not need

    runs, lease_s = RunStore(database), settings.lease_s
    log = SharedFrameLog(runs, hub, limits.LOG_CACHE_BYTES)
    queue, sweeps = SharedQueue(database, lease_s, hub), SharedSweepStore(database, lease_s)
    return Store(database, runs, log, queue, sweeps)
