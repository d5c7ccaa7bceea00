"""The way to the database: work runs off the event loop, one transaction a call."""

import asyncio
import fcntl
import importlib.util
import os
import secrets
import sqlite3
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import Connection, create_engine, event
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import InterfaceError, OperationalError

from app.store.errors import DataInUse, StoreUnavailable, UnusableDatabase
from app.store.schema import upgrade

T = TypeVar("T")

# Before this release two connections could corrupt a database in WAL mode.
WAL_IS_SAFE = sqlite3.sqlite_version_info >= (3, 51, 3)
POSTGRESQL, THREADS = "postgresql", 8
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

    Attributes
    ----------
    server: names this process among all that use the database, and have used it.
    is_shared: whether several servers may use it at a time.

    Raises
    ------
    UnusableDatabase
        Where it is in use, of a newer version or of another program; `upgrade` says more.
    """

    def __init__(self, url: str) -> None:
        self._lock: int | None = None
        self.url, self.server = url, secrets.token_hex(8)
        parts = make_url(url)
        is_sqlite = parts.get_backend_name() == "sqlite"
        self.is_shared = parts.get_backend_name() == POSTGRESQL
        if self.is_shared:
            _require_psycopg(parts)
        if is_sqlite:
            self._lock = _lock_folder(Path(parts.database or "").parent)
        try:
            upgrade(url)
        except Exception:
            self._unlock()
            raise
        self._engine = create_engine(url, **(_to_options(parts) if self.is_shared else {}))
        event.listen(self._engine, "connect", self._sign)
        if is_sqlite:
            event.listen(self._engine, "connect", _set_pragmas)
        self._threads = ThreadPoolExecutor(1 if is_sqlite else THREADS, thread_name_prefix="store")

    async def call(self, work: Callable[[Connection], T]) -> T:
        """Do `work` in one transaction, which is durable when this returns.

        Raises
        ------
        StoreUnavailable
            Where the database is locked, full or away. Whether the transaction was made may then be unknown.
        """

        def transact() -> T:
            try:
                with self._engine.begin() as connection:
                    return work(connection)
            except (OperationalError, InterfaceError) as error:
                raise StoreUnavailable(f"the database cannot be used now: {error.orig}") from error

        # Shielded: a client that goes away must not leave the caller unsure whether its transaction happened.
        return await asyncio.shield(asyncio.get_running_loop().run_in_executor(self._threads, transact))

    async def close(self) -> None:
        """Finish what is under way and let go of the files."""
        await asyncio.to_thread(self._threads.shutdown)
        self._engine.dispose()
        self._unlock()

    def _sign(self, connection: Any, record: Any) -> None:
        """What this server tells others bears its name."""
        record.info["server"] = self.server

    def _unlock(self) -> None:
        if self._lock is not None:
            os.close(self._lock)


def _set_pragmas(connection: Any, record: Any) -> None:
    cursor = connection.cursor()
    cursor.execute(f"PRAGMA journal_mode={'WAL' if WAL_IS_SAFE else 'DELETE'}")
    cursor.execute("PRAGMA synchronous=FULL")
    cursor.execute("PRAGMA foreign_keys=ON")
    cursor.close()


def _require_psycopg(url: URL) -> None:
    """Refuse other drivers: servers tell each other what happens through this one."""
    if url.get_driver_name() != "psycopg":
        wanted = url.set(drivername="postgresql+psycopg").render_as_string()
        raise UnusableDatabase(f"database_url: got the driver {url.get_driver_name()}, wanted {wanted}")
    if importlib.util.find_spec("psycopg") is None:
        raise UnusableDatabase("PostgreSQL needs psycopg: pip install mhc-scope[postgres]")


def _to_options(url: URL) -> dict[str, Any]:
    """How PostgreSQL is connected to; what the URL says itself goes before."""
    connect = {name: value for name, value in POSTGRESQL_CONNECT.items() if name not in url.query}
    return {"connect_args": connect, "pool_pre_ping": True, "pool_size": THREADS, "max_overflow": 0}


def _lock_folder(folder: Path) -> int:
    """Hold the folder for this process; the kernel lets go when the process ends, however it ends."""
    folder.mkdir(parents=True, exist_ok=True)
    handle = os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(handle)
        raise DataInUse(f"another server uses the data folder {folder}") from None
    return handle
