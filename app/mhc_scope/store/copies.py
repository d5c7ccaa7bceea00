"""Back up an SQLite database, even while a server runs, and restore it while none runs."""

import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

from mhc_scope.store import sqlite
from mhc_scope.store.errors import UnusableDatabase
from mhc_scope.store.schema import require_known
from mhc_scope.store.sqlite import SqliteFile

# Pages per step of a copy; between two steps a server may write.
STEP_PAGES = 2000


def back_up(path: Path, out: Path) -> int:
    """Write a consistent and complete copy of a database; return its size in bytes. After an error there is no copy.

    A running server continues: its writes wait for one step of the copy, or for the whole copy if they are so frequent
    that a copy in steps does not finish.

    Raises
    ------
    UnusableDatabase
        If there is no database, or it cannot be read.
    OSError
        If the copy cannot be written.
    """
    sqlite.require_sound(path)
    with _open(path, "rw") as source:  # writable, because SQLite rolls back unfinished writes of a killed server
        require_known(f"sqlite:///{path}")
        sqlite.copy_to(source, out, STEP_PAGES)
    return out.stat().st_size


def restore(source: Path, path: Path, *, is_forced: bool) -> None:
    """Replace the database of a data folder with a backup, while no server uses it.

    Raises
    ------
    UnusableDatabase
        If the backup is damaged or of a newer version, if a server runs, or if a database exists and `is_forced` is
        false. Nothing is changed then.
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
    """Raise UnusableDatabase if the pages of a database are damaged."""
    try:
        (found,) = database.execute("PRAGMA integrity_check(1)").fetchone()
    except sqlite3.DatabaseError as error:
        found = str(error)
    if found != "ok":
        raise UnusableDatabase(f"the database {path} is damaged: {' '.join(found.split())}")


@contextlib.contextmanager
def _open(path: Path, mode: str) -> Iterator[sqlite3.Connection]:
    """Open a database for a copy, in a mode of SQLite's URIs; raise UnusableDatabase if it is missing or unreadable."""
    if not path.exists():
        raise UnusableDatabase(f"there is no database {path}")
    try:
        with contextlib.closing(sqlite3.connect(f"file:{quote(str(path))}?mode={mode}", uri=True)) as database:
            yield database
    except sqlite3.Error as error:
        raise UnusableDatabase(f"the database {path} cannot be copied: {error}") from error


def _end_journal(path: Path) -> None:
    """Finish or delete the journal of the old database, because SQLite would apply it to the new database."""
    if path.is_file():
        with contextlib.suppress(sqlite3.Error), contextlib.closing(sqlite3.connect(path)) as database:
            database.execute("PRAGMA schema_version")  # any read makes SQLite finish the journal
    for ending in ("-journal", "-wal", "-shm"):
        path.with_name(path.name + ending).unlink(missing_ok=True)
