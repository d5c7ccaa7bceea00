"""The database of several servers: PostgreSQL, with a clock, locks and notifications that all servers share."""

import asyncio
import contextlib
import importlib.util
import logging
import os
import secrets
import socket
import weakref
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event, func, select
from sqlalchemy.engine import URL, make_url

from mhc_scope.store.database import Database, Notice
from mhc_scope.store.errors import UnusableDatabase
from mhc_scope.store.schema import require_current, upgrade

log = logging.getLogger("mhc.store")

THREADS = 8
# Limit for a database server that is reachable but does not answer, for example because its disk hangs.
ANSWER_S = 20.0
# At the end, running calls are abandoned after this time if the database does not answer.
CLOSE_S = 5.0
# A database server that is cut off without notice is given up after about ten seconds, as is a wait for a lock.
ALIVE: dict[str, Any] = {
    "connect_timeout": 5,
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 3,
}
CONNECT = ALIVE | {
    "tcp_user_timeout": 10_000,
    "options": "-c lock_timeout=10s -c idle_in_transaction_session_timeout=60s",
}
CHANNEL = "mhc_scope"
# Numbers of locks, chosen arbitrarily. The first lets servers that start together migrate one after the other.
MIGRATION_LOCK, QUEUE_LOCK = 0x6D4843, 0x6D4844


class PostgreSQLDatabase(Database):
    """A PostgreSQL database, whose connections are closed if it does not answer.

    Parameters
    ----------
    url: in SQLAlchemy's form.
    is_secondary: whether the tables must already be those of this version, and are not migrated.

    Attributes
    ----------
    server: id of this process, unique among all that have ever used the database.

    Raises
    ------
    UnusableDatabase
        If the database is of a newer version or of another program, or cannot be reached.
    """

    def __init__(self, url: str, *, is_secondary: bool = False) -> None:
        require_driver()
        self.answer_s = ANSWER_S
        self.server = secrets.token_hex(8)
        require_current(url) if is_secondary else upgrade(url, lock_migration)
        engine = create_engine(url, **_to_options(make_url(url)))
        super().__init__(url, engine, THREADS)
        self._connections = Connections(engine)

    def read_clock(self, connection: Connection) -> float:
        """Return seconds since 1970 by the clock of the database, which all servers share."""
        return float(connection.execute(select(func.extract("epoch", func.clock_timestamp()))).scalar_one())

    def lock_queue(self, connection: Connection) -> None:
        """Lock the queue until the transaction ends. To prevent deadlocks, lock it before any row."""
        connection.execute(select(func.pg_advisory_xact_lock(QUEUE_LOCK)))

    def notify(self, connection: Connection, notice: Notice, run_id: str = "") -> None:
        """Notify other servers when the transaction is committed."""
        connection.execute(select(func.pg_notify(CHANNEL, f"{self.server} {notice} {run_id}")))

    def count_bytes(self, connection: Connection) -> int:
        """Return the bytes of the database on the disk, which include deleted rows until a vacuum has run."""
        return int(connection.exec_driver_sql("SELECT pg_database_size(current_database())").scalar_one())

    def _prepare(self, connection: Connection, waited_s: float) -> None:
        """Do nothing: options of the connection limit how long it waits."""

    async def _end_threads(self) -> None:
        """Wait for running calls to finish; abandon them if the database does not answer."""
        ending = asyncio.ensure_future(super()._end_threads())
        if not (await asyncio.wait([ending], timeout=CLOSE_S))[0]:
            log.warning("the database does not answer: its running calls are abandoned")
            self._threads.shutdown(wait=False, cancel_futures=True)
            self._connections.cut()
        await ending


class Connections:
    """Tracks the open connections of a SQLAlchemy engine."""

    def __init__(self, engine: Engine) -> None:
        self._open: weakref.WeakSet[Any] = weakref.WeakSet()
        self._closed: tuple[type[Exception], ...] = (OSError, engine.dialect.loaded_dbapi.Error)
        event.listen(engine, "connect", lambda connection, record: self._open.add(connection))

    def cut(self) -> None:
        """Shut down all connections to the database, so that threads that wait for answers get an error."""
        for connection in list(self._open):
            with (
                contextlib.suppress(*self._closed),  # its thread may be closing it
                socket.socket(fileno=os.dup(connection.fileno())) as end,
            ):
                end.shutdown(socket.SHUT_RDWR)


def require_driver() -> None:
    """Raise UnusableDatabase unless the driver package of PostgreSQL is installed."""
    if importlib.util.find_spec("psycopg") is None:
        raise UnusableDatabase("PostgreSQL needs psycopg: pip install mhc-scope[postgres]")


def lock_migration(connection: Connection) -> None:
    """Wait until no other server migrates the database."""
    connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({MIGRATION_LOCK})")


def _to_options(url: URL) -> dict[str, Any]:
    """Return the options of the engine and its connections. Options in the URL take precedence."""
    connect = {name: value for name, value in CONNECT.items() if name not in url.query}
    return {"connect_args": connect, "pool_pre_ping": True, "pool_size": THREADS, "max_overflow": 0}
