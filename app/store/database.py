"""The way to the database: work runs off the event loop, one transaction a call."""

import asyncio
import importlib.util
import secrets
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import DatabaseError, DBAPIError, InterfaceError, OperationalError

from app.store import sqlite
from app.store.errors import ConnectionCut, StoreUnavailable, UnusableDatabase
from app.store.schema import require_current, upgrade
from app.store.sqlite import SqliteFile

T = TypeVar("T")

POSTGRESQL, THREADS = "postgresql", 8
# For a server on another machine that is there and says nothing, as where its disk hangs.
ANSWER_S = 20.0
# A server that is cut off without a word is given up after about ten seconds, and so is a wait for another's lock.
POSTGRESQL_CONNECT = {
    "connect_timeout": 5,
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 3,
    "tcp_user_timeout": 10_000,
    "options": "-c lock_timeout=10s -c idle_in_transaction_session_timeout=60s",
}


class Database:
    """An SQLAlchemy engine with the threads that use it.

    SQLite gets one thread: its calls would wait for each other's locks anyhow.

    Parameters
    ----------
    url: SQLAlchemy's.
    is_beside: work beside a server that may be running: the folder is not locked, and the tables must be there.

    Attributes
    ----------
    server: names this process among all that use the database, and have used it.
    is_shared: whether several servers may use it at a time.

    Raises
    ------
    UnusableDatabase
        Where it is in use, of a newer version or of another program; `upgrade` says more.
    """

    def __init__(self, url: str, *, is_beside: bool = False) -> None:
        self.server = secrets.token_hex(8)
        self.is_sqlite = make_url(url).get_backend_name() == "sqlite"
        self.is_shared = make_url(url).get_backend_name() == POSTGRESQL
        if self.is_shared:
            _require_psycopg(make_url(url))
        self._file = SqliteFile(Path(make_url(url).database or "")) if self.is_sqlite else None
        if self._file is not None and not is_beside:
            self._file.lock()
        try:
            require_current(url) if is_beside else upgrade(url)
            self._engine = _create_engine(url, self._file)
        except Exception:
            self._unlock()
            raise
        event.listen(self._engine, "connect", self._sign)
        self.url = url
        self._threads = ThreadPoolExecutor(1 if self.is_sqlite else THREADS, thread_name_prefix="store")

    async def call(self, work: Callable[[Connection], T]) -> T:
        """Do `work` in one transaction, which is durable when this returns.

        Raises
        ------
        StoreUnavailable
            Where the database is locked, its disk is full, it cannot be reached, or does not answer. Whether the
            transaction was made, or will be, may then be unknown.
        """
        asked = time.monotonic()
        doing = asyncio.get_running_loop().run_in_executor(self._threads, self._do, work, asked)
        doing.add_done_callback(_take_note)
        try:
            async with asyncio.timeout(ANSWER_S if self.is_shared else None):
                # Shielded: a client that goes away must not leave the caller unsure whether its transaction happened.
                return await asyncio.shield(doing)
        except TimeoutError:
            raise StoreUnavailable(f"the database has not answered for {ANSWER_S:g} s") from None

    def _do(self, work: Callable[[Connection], T], asked: float) -> T:
        try:
            return self._transact(work, asked)
        except (OperationalError, InterfaceError) as error:
            if error.connection_invalidated:
                raise ConnectionCut(self._explain(error)) from error
            if self._file is None or not self._file.has_moved():
                raise StoreUnavailable(self._explain(error)) from error
            self._find_again(self._file)
            return self._transact(work, asked)
        except DatabaseError as error:
            # Exactly this class is SQLite's for a damaged file; others below it are mistakes of ours.
            if type(error) is DatabaseError:
                raise StoreUnavailable(self._explain(error)) from error
            raise

    def _transact(self, work: Callable[[Connection], T], asked: float) -> T:
        with self._engine.begin() as connection:
            if self.is_sqlite:
                sqlite.limit_wait(connection, time.monotonic() - asked)
            return work(connection)

    def _find_again(self, file: SqliteFile) -> None:
        try:
            file.find_again(self._engine, lambda: upgrade(self.url))
        except UnusableDatabase as error:
            raise StoreUnavailable(f"the database went away: {error}") from error

    def _explain(self, error: DBAPIError) -> str:
        return f"the database cannot be used now: {str(error.orig).strip()}"

    async def close(self) -> None:
        """Finish what is under way and let go of the files."""
        await asyncio.to_thread(self._threads.shutdown)
        self._engine.dispose()
        self._unlock()

    def _sign(self, connection: Any, record: Any) -> None:
        """What this server tells others bears its name."""
        record.info["server"] = self.server

    def _unlock(self) -> None:
        if self._file is not None:
            self._file.unlock()


def _take_note(doing: "asyncio.Future[Any]") -> None:
    """An error that comes when no one waits any more is no news: asyncio would log it."""
    if not doing.cancelled():
        doing.exception()


def _create_engine(url: str, file: SqliteFile | None) -> Engine:
    engine = create_engine(url, **_to_options(make_url(url)))
    if file is not None:
        event.listen(engine, "connect", sqlite.set_pragmas)
        event.listen(engine, "do_connect", lambda *_: sqlite.connect(file.path))
        with engine.connect():  # held from here on: if the file is deleted, this connection still reads it
            file.remember()
    return engine


def _require_psycopg(url: URL) -> None:
    """Refuse other drivers: servers tell each other what happens through this one."""
    if url.get_driver_name() != "psycopg":
        wanted = url.set(drivername="postgresql+psycopg").render_as_string()
        raise UnusableDatabase(f"database_url: got the driver {url.get_driver_name()}, wanted {wanted}")
    if importlib.util.find_spec("psycopg") is None:
        raise UnusableDatabase("PostgreSQL needs psycopg: pip install mhc-scope[postgres]")


def _to_options(url: URL) -> dict[str, Any]:
    """How PostgreSQL is connected to; what the URL says itself goes before."""
    if url.get_backend_name() != POSTGRESQL:
        return {}
    connect = {name: value for name, value in POSTGRESQL_CONNECT.items() if name not in url.query}
    return {"connect_args": connect, "pool_pre_ping": True, "pool_size": THREADS, "max_overflow": 0}
