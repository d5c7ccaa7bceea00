"""The way to the database: work runs off the event loop, one transaction a call."""

import asyncio
import fcntl
import os
import sqlite3
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import Connection, create_engine, event
from sqlalchemy.engine import make_url

from app.store.schema import UnusableDatabase, upgrade

T = TypeVar("T")

# Before this release two connections could corrupt a database in WAL mode.
WAL_IS_SAFE = sqlite3.sqlite_version_info >= (3, 51, 3)


class DataInUse(UnusableDatabase):
    """Another server uses the same data folder."""


class Database:
    """An SQLAlchemy engine with the threads that use it.

    SQLite gets one thread: its calls would wait for each other's locks anyhow.

    Raises
    ------
    UnusableDatabase
        Where it is in use, of a newer version or of another program; `upgrade` says more.
    """

    def __init__(self, url: str) -> None:
        self._lock: int | None = None
        is_sqlite = make_url(url).get_backend_name() == "sqlite"
        if is_sqlite:
            file = Path(make_url(url).database or ":memory:")
            self._lock = _lock_folder(file.parent)
            _hide(file)
        try:
            upgrade(url)
        except Exception:
            self._unlock()
            raise
        self._engine = create_engine(url)
        if is_sqlite:
            event.listen(self._engine, "connect", _set_pragmas)
        self._threads = ThreadPoolExecutor(1 if is_sqlite else 8, thread_name_prefix="store")

    async def call(self, work: Callable[[Connection], T]) -> T:
        """Do `work` in one transaction, which is durable when this returns."""

        def transact() -> T:
            with self._engine.begin() as connection:
                return work(connection)

        # Shielded: a client that goes away must not leave the caller unsure whether its transaction happened.
        return await asyncio.shield(asyncio.get_running_loop().run_in_executor(self._threads, transact))

    async def close(self) -> None:
        """Finish what is under way and let go of the files."""
        await asyncio.to_thread(self._threads.shutdown)
        self._engine.dispose()
        self._unlock()

    def _unlock(self) -> None:
        if self._lock is not None:
            os.close(self._lock)


def _set_pragmas(connection: Any, record: Any) -> None:
    cursor = connection.cursor()
    cursor.execute(f"PRAGMA journal_mode={'WAL' if WAL_IS_SAFE else 'DELETE'}")
    cursor.execute("PRAGMA synchronous=FULL")
    cursor.execute("PRAGMA foreign_keys=ON")
    cursor.close()


def _hide(file: Path) -> None:
    """Let this user alone read its database: SQLite gives its other files the same rights."""
    if file.name != ":memory:":
        file.touch(0o600)
        if file.stat().st_uid == os.geteuid():
            file.chmod(0o600)  # an earlier version made it for all to read


def _lock_folder(folder: Path) -> int:
    """Hold the folder for this process; the kernel lets go when the process ends, however it ends."""
    folder.mkdir(0o700, parents=True, exist_ok=True)
    handle = os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(handle)
        raise DataInUse(f"another server uses the data folder {folder}") from None
    return handle
