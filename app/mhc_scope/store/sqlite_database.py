"""Provide the database of a single server: an SQLite file in its data folder."""

import time
from pathlib import Path

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import make_url

from mhc_scope.store import sqlite
from mhc_scope.store.database import Database, Notice
from mhc_scope.store.errors import StoreUnavailable, UnusableDatabase
from mhc_scope.store.schema import require_current, upgrade
from mhc_scope.store.sqlite import SqliteFile

THREADS = 1  # several threads would only wait for each other's locks


class SqliteDatabase(Database):
    """Use an SQLite file, and restore it if it is deleted while it is in use.

    Parameters
    ----------
    url: URL of the file, in SQLAlchemy's form.
    is_secondary: whether a server may be running: then the folder is not locked, and the tables must exist.

    Raises
    ------
    UnusableDatabase
        If another server uses it, or `upgrade` or `require_current` refuses it.
    """

    def __init__(self, url: str, *, is_secondary: bool = False) -> None:
        self.path = Path(make_url(url).database or "")
        self._file = SqliteFile(self.path)
        if not is_secondary:
            self._file.lock()
        try:
            require_current(url) if is_secondary else upgrade(url)
            super().__init__(url, _create_engine(url, self._file), THREADS)
        except Exception:
            self._file.unlock()
            raise

    def read_clock(self, connection: Connection) -> float:
        """Return seconds since 1970, from the clock of this machine."""
        return time.time()

    def lock_queue(self, connection: Connection) -> None:
        """Do nothing, because SQLite allows only one writer."""

    def notify(self, connection: Connection, notice: Notice, run_id: str = "") -> None:
        """Do nothing, because no other server uses the file."""

    def count_bytes(self, connection: Connection) -> int:
        """Return the bytes of the used pages. Free pages are reused before the file grows."""
        names = ("page_count", "freelist_count", "page_size")
        pages, free, size = (int(connection.exec_driver_sql(f"PRAGMA {name}").scalar_one()) for name in names)
        return (pages - free) * size

    async def close(self) -> None:
        """Wait for running calls, close the file, and unlock the folder."""
        await super().close()
        self._file.unlock()

    def _prepare(self, connection: Connection, waited_s: float) -> None:
        sqlite.limit_wait(connection, waited_s)

    def _recover(self) -> bool:
        """Reopen or restore a database file that was deleted or replaced; return False if it was not."""
        if not self._file.has_moved():
            return False
        try:
            self._file.reopen(self._engine, lambda: upgrade(self.url))
        except UnusableDatabase as error:
            raise StoreUnavailable(f"the database went away: {error}") from error
        return True


def _create_engine(url: str, file: SqliteFile) -> Engine:
    """Create the server's engine for an SQLite file, with a connection that stays open."""
    engine = create_engine(url)
    event.listen(engine, "connect", sqlite.set_pragmas)
    event.listen(engine, "do_connect", lambda *_: sqlite.connect(file.path))
    with engine.connect():  # the pool keeps it open, so that it can read the file after it was deleted
        file.remember()
    return engine
