"""Copies of an SQLite database: taken beside a running server, and put back where none runs."""

import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

from mhc_scope.store import sqlite
from mhc_scope.store.errors import UnusableDatabase
from mhc_scope.store.schema import require_known
from mhc_scope.store.sqlite import SqliteFile

# Pages copied at a time; between two steps the server may write.
STEP_PAGES = 2000


def back_up(path: Path, out: Path) -> int:
    """Write a consistent copy of a database, whole or not at all; returns its size in bytes.

    The server that uses it goes on: it waits for a step of the copy at most, or for the whole of it where it writes
    so often that steps come to nothing.

    Raises
    ------
    UnusableDatabase
        Where there is no database, or it cannot be read.
    OSError
        Where the copy cannot be written.
    """
    sqlite.require_sound(path)
    with _open(path, "rw") as source:  # to write: what a killed server left half written is undone as it is read
        require_known(f"sqlite:///{path}")
        sqlite.copy_to(source, out, STEP_PAGES)
    return out.stat().st_size


def restore(source: Path, path: Path, *, is_forced: bool) -> None:
    """Make a copy the database of a data folder, where no server uses it.

    Raises
    ------
    UnusableDatabase
        Where the copy is damaged or of a newer version, a server runs, or a database is there and is not to be
        replaced. Nothing is changed then.
    """
    sqlite.require_sound(source)
    with _open(source, "ro") as copy:
        require_intact(copy, source)
        require_known(f"sqlite:///{source}")
        file = SqliteFile(path)
        file.lock()
        try:
            if path.exists() and not is_forced:
                raise UnusableDatabase(f"there is a database {path}: --force replaces it")
            _end_journal(path)
            sqlite.copy_to(copy, path)
        finally:
            file.unlock()


def require_intact(database: sqlite3.Connection, path: Path) -> None:
    """Refuse a database whose pages do not fit together."""
    try:
        (found,) = database.execute("PRAGMA integrity_check(1)").fetchone()
    except sqlite3.DatabaseError as error:
        found = str(error)
    if found != "ok":
        raise UnusableDatabase(f"the database {path} is damaged: {' '.join(found.split())}")


@contextlib.contextmanager
def _open(path: Path, mode: str) -> Iterator[sqlite3.Connection]:
    if not path.exists():
        raise UnusableDatabase(f"there is no database {path}")
    try:
        with contextlib.closing(sqlite3.connect(f"file:{quote(str(path))}?mode={mode}", uri=True)) as database:
            yield database
    except sqlite3.Error as error:
        raise UnusableDatabase(f"the database {path} cannot be copied: {error}") from error


def _end_journal(path: Path) -> None:
    """Take away what the old database's last transaction left: it would be applied to the new one."""
    if path.is_file():
        with contextlib.suppress(sqlite3.Error), contextlib.closing(sqlite3.connect(path)) as database:
            database.execute("PRAGMA schema_version")  # a sound one finishes it by itself
    for ending in ("-journal", "-wal", "-shm"):
        path.with_name(path.name + ending).unlink(missing_ok=True)
