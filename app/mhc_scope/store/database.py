"""Run work on the database outside the event loop, one transaction per call."""

import asyncio
import logging
import secrets
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DatabaseError, DBAPIError, InterfaceError, OperationalError

from mhc_scope.store import postgresql, sqlite
from mhc_scope.store.errors import ConnectionCut, StoreUnavailable, UnusableDatabase
from mhc_scope.store.schema import require_current, upgrade
from mhc_scope.store.sqlite import SqliteFile

log = logging.getLogger("mhc.store")

T = TypeVar("T")

THREADS = 8
# For a server on another machine that is reachable and does not answer, such as one whose disk hangs.
ANSWER_S = 20.0
# At the end, running calls are abandoned after this time where the database does not answer.
CLOSE_S = 5.0
# How often a cut connection is reopened for a read; a database that is unreachable cannot be connected to.
CUTS = 5


class Database:
    """Run an SQLAlchemy engine with the threads that use it.

    SQLite gets one thread: its calls would wait for each other's locks in any case.

    Parameters
    ----------
    url: in SQLAlchemy's form.
    is_secondary: open it while a server may be running: the folder is not locked, and the tables must exist.

    Attributes
    ----------
    server: names this process among all that use the database, and have used it.
    is_shared: whether several servers may use it at a time.

    Raises
    ------
    UnusableDatabase
        Where another server uses it, or it is of a newer version or another program; `upgrade` says more.
    """

    def __init__(self, url: str, *, is_secondary: bool = False) -> None:
        self.server = secrets.token_hex(8)
        self.is_sqlite = make_url(url).get_backend_name() == "sqlite"
        self.is_shared = make_url(url).get_backend_name() == postgresql.NAME
        if self.is_shared:
            postgresql.require_driver()
        self._file = SqliteFile(Path(make_url(url).database or "")) if self.is_sqlite else None
        if self._file is not None and not is_secondary:
            self._file.lock()
        try:
            require_current(url) if is_secondary else upgrade(url)
            self._engine = _create_engine(url, self._file)
        except Exception:
            self._unlock()
            raise
        event.listen(self._engine, "connect", self._sign)
        self._connections = postgresql.Connections(self._engine) if self.is_shared else None
        self.url = url
        self._is_stopping = False
        self._threads = ThreadPoolExecutor(1 if self.is_sqlite else THREADS, thread_name_prefix="store")

    async def call(self, work: Callable[[Connection], T]) -> T:
        """Run `work` in one transaction, which is durable when this returns.

        Raises
        ------
        StoreUnavailable
            Where the database is locked, its disk is full, or it cannot be reached or does not answer. It may then be
            unknown whether the transaction was committed, or will be.
        """
        requested_s = time.monotonic()
        future = asyncio.get_running_loop().run_in_executor(self._threads, self._do, work, requested_s)
        future.add_done_callback(consume_error)
        try:
            async with asyncio.timeout(ANSWER_S if self.is_shared else None):
                # Shielded: a client that disconnects must not leave the caller unsure of its commit.
                return await asyncio.shield(future)
        except TimeoutError:
            raise StoreUnavailable(f"the database has not answered for {ANSWER_S:g} s") from None

    async def read(self, work: Callable[[Connection], T]) -> T:
        """Run `work`, which only reads, and run it again where its connection was cut.

        Raises
        ------
        StoreUnavailable
            As `call` does.
        """
        for _ in range(CUTS):
            with suppress(ConnectionCut):
                return await self.call(work)
        return await self.call(work)

    def _do(self, work: Callable[[Connection], T], requested_s: float) -> T:
        try:
            return self._transact(work, requested_s)
        except (OperationalError, InterfaceError) as error:
            if error.connection_invalidated:
                raise ConnectionCut(self._explain(error)) from error
            if self._file is None or self._is_stopping or not self._file.has_moved():
                raise StoreUnavailable(self._explain(error)) from error
            self._reopen(self._file)
            return self._transact(work, requested_s)
        except DatabaseError as error:
            # SQLite raises exactly this class for a damaged file; its subclasses are our own mistakes.
            if type(error) is DatabaseError:
                raise StoreUnavailable(self._explain(error)) from error
            raise

    def _transact(self, work: Callable[[Connection], T], requested_s: float) -> T:
        with self._engine.begin() as connection:
            if self.is_sqlite:
                sqlite.limit_wait(connection, time.monotonic() - requested_s)
            return work(connection)

    def _reopen(self, file: SqliteFile) -> None:
        try:
            file.reopen(self._engine, lambda: upgrade(self.url))
        except UnusableDatabase as error:
            raise StoreUnavailable(f"the database went away: {error}") from error

    def _explain(self, error: DBAPIError) -> str:
        return f"the database cannot be used now: {str(error.orig).strip()}"

    def begin_stop(self) -> None:
        """Stop restoring files, so that a data folder deleted during shutdown stays deleted."""
        self._is_stopping = True

    async def close(self) -> None:
        """Finish running calls, unless the database does not answer, and close the files."""
        ending = asyncio.ensure_future(asyncio.to_thread(self._threads.shutdown))
        if self._connections is not None and not (await asyncio.wait([ending], timeout=CLOSE_S))[0]:
            log.warning("the database does not answer: its running calls are abandoned")
            self._threads.shutdown(wait=False, cancel_futures=True)
            self._connections.cut()
        await ending
        self._engine.dispose()
        self._unlock()

    def _sign(self, connection: Any, record: Any) -> None:
        """Set this server's name on the connection: notifications of this server carry it."""
        record.info["server"] = self.server

    def _unlock(self) -> None:
        if self._file is not None:
            self._file.unlock()


def consume_error(future: "asyncio.Future[Any]") -> None:
    """Consume the error of shielded work that no caller awaits any more, which asyncio would log."""
    if not future.cancelled():
        future.exception()


def _create_engine(url: str, file: SqliteFile | None) -> Engine:
    is_shared = make_url(url).get_backend_name() == postgresql.NAME
    engine = create_engine(url, **(postgresql.to_options(make_url(url), THREADS) if is_shared else {}))
    if file is not None:
        event.listen(engine, "connect", sqlite.set_pragmas)
        event.listen(engine, "do_connect", lambda *_: sqlite.connect(file.path))
        with engine.connect():  # stays open: if the file is deleted, this connection still reads it
            file.remember()
    return engine
