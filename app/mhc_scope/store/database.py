"""Access the database in threads outside the event loop, with one transaction per call."""

import asyncio
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import wraps
from pathlib import Path
from typing import Any, Concatenate, Literal, ParamSpec, TypeVar

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DatabaseError, DBAPIError, InterfaceError, OperationalError

from mhc_scope.store.errors import ConnectionCut, StoreUnavailable

T = TypeVar("T")
P = ParamSpec("P")
# log: a run has new frames or an end; queue: places have changed; cancel: the server that computes a run must stop it.
Notice = Literal["log", "queue", "cancel"]

# How often a read is repeated after its connection was closed. An unreachable database fails immediately.
CUTS = 5


class Database(ABC):
    """Own an SQLAlchemy engine and the threads that use it. Subclasses implement what differs between databases.

    Attributes
    ----------
    path: the file of the database; None if a database server stores it.
    """

    path: Path | None = None
    answer_s: float | None = None  # time after which a call fails; None means no limit

    def __init__(self, url: str, engine: Engine, threads: int) -> None:
        self.url, self._engine = url, engine
        self._is_stopping = False
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="store")

    async def call(self, work: Callable[[Connection], T]) -> T:
        """Run `work` in one transaction; return its result. The transaction is durable when this returns.

        Raises
        ------
        StoreUnavailable
            If the database is locked, its disk is full, or it cannot be reached or does not answer. It is then
            possibly unknown whether the transaction was committed or will be.
        """
        requested_s = time.monotonic()
        future = asyncio.get_running_loop().run_in_executor(self._threads, self._run_work, work, requested_s)
        future.add_done_callback(consume_error)
        try:
            async with asyncio.timeout(self.answer_s):
                # Shielded: if a client disconnects, its request is cancelled, but the transaction must finish.
                return await asyncio.shield(future)
        except TimeoutError:
            raise StoreUnavailable(f"the database has not answered for {self.answer_s:g} s") from None

    async def read(self, work: Callable[[Connection], T]) -> T:
        """Run `work`, which only reads, and return its result. Repeat it if its connection was cut.

        Raises
        ------
        StoreUnavailable
            As in `call`.
        """
        for _ in range(CUTS):
            with suppress(ConnectionCut):
                return await self.call(work)
        return await self.call(work)

    @abstractmethod
    def read_clock(self, connection: Connection) -> float:
        """Return seconds since 1970, from the clock that all users of the database share."""

    @abstractmethod
    def lock_queue(self, connection: Connection) -> None:
        """Lock the queue until the transaction ends. Call this before locking any row, to prevent deadlocks."""

    @abstractmethod
    def notify(self, connection: Connection, notice: Notice, run_id: str = "") -> None:
        """Notify other servers, if there are any, after the transaction is committed."""

    @abstractmethod
    def count_bytes(self, connection: Connection) -> int:
        """Return the bytes that the database uses on its disk."""

    def _run_work(self, work: Callable[[Connection], T], requested_s: float) -> T:
        """Run `work` in a transaction, and again after a recovery; raise StoreUnavailable or ConnectionCut."""
        try:
            return self._run_transaction(work, requested_s)
        except (OperationalError, InterfaceError) as error:
            if error.connection_invalidated:
                raise ConnectionCut(self._explain_error(error)) from error
            if self._is_stopping or not self._recover():
                raise StoreUnavailable(self._explain_error(error)) from error
            return self._run_transaction(work, requested_s)
        except DatabaseError as error:
            # SQLite raises exactly this class for a damaged file. Its subclasses are errors of this program.
            if type(error) is DatabaseError:
                raise StoreUnavailable(self._explain_error(error)) from error
            raise

    def _run_transaction(self, work: Callable[[Connection], T], requested_s: float) -> T:
        """Run `work` in one transaction; return its result."""
        with self._engine.begin() as connection:
            self._prepare(connection, time.monotonic() - requested_s)
            return work(connection)

    @abstractmethod
    def _prepare(self, connection: Connection, waited_s: float) -> None:
        """Set options of a new transaction. waited_s: time that its call has waited for a thread."""

    def _recover(self) -> bool:
        """Try to make the database usable after an error; return whether a second try may succeed."""
        return False

    def _explain_error(self, error: DBAPIError) -> str:
        return f"the database cannot be used now: {str(error.orig).strip()}"

    def begin_stop(self) -> None:
        """Stop restoring deleted files, so that a data folder may be deleted during shutdown."""
        self._is_stopping = True

    async def close(self) -> None:
        """Wait for running calls, and close the connections."""
        await self._end_threads()
        self._engine.dispose()

    async def _end_threads(self) -> None:
        await asyncio.to_thread(self._threads.shutdown)


def transaction(
    work: Callable[Concatenate[Any, Connection, P], T],
) -> Callable[Concatenate[Any, P], Coroutine[Any, Any, T]]:
    """Decorate a method that takes a connection: run it in a transaction, by `call` of `self._database`."""

    @wraps(work)
    async def run(self: Any, *args: P.args, **kwargs: P.kwargs) -> T:
        return await self._database.call(lambda connection: work(self, connection, *args, **kwargs))

    return run


def reading(
    work: Callable[Concatenate[Any, Connection, P], T],
) -> Callable[Concatenate[Any, P], Coroutine[Any, Any, T]]:
    """Decorate a method that takes a connection and only reads: run it by `read` of `self._database`."""

    @wraps(work)
    async def run(self: Any, *args: P.args, **kwargs: P.kwargs) -> T:
        return await self._database.read(lambda connection: work(self, connection, *args, **kwargs))

    return run


def consume_error(future: "asyncio.Future[Any]") -> None:
    """Retrieve the error of shielded work that no caller awaits any more, so that asyncio does not log it."""
    if not future.cancelled():
        future.exception()
