"""Implement what is specific to SQLite: the lock of the folder, options of connections, and restoring deleted files."""

import contextlib
import fcntl
import logging
import math
import os
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote

from sqlalchemy import Connection, Engine

from mhc_scope.store.errors import DataInUse, UnusableDatabase

log = logging.getLogger("mhc.store")

# Before this release, two connections could corrupt a database in WAL mode.
WAL_IS_SAFE = sqlite3.sqlite_version_info >= (3, 51, 3)
# Longest time that a call waits for another process that has locked the database, including its wait for a thread.
MAX_WAIT_S = 5.0
# Number of starts after which a copy in steps is given up, and the pause after each step, in which others may write.
MAX_BEGUN, STEP_PAUSE_S = 4, 0.02
FOLDER_MODE, FILE_MODE = 0o700, 0o600


class SqliteFile:
    """Lock the folder of a database, and identify its file."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock: int | None = None
        self._identity: tuple[int, int] | None = None

    def lock(self) -> None:
        """Lock the folder for this process. The kernel releases the lock when the process ends, even if it crashes.

        Raises
        ------
        UnusableDatabase
            If another process has locked it, or it cannot be written.
        """
        folder = self.path.parent
        try:
            folder.mkdir(mode=FOLDER_MODE, parents=True, exist_ok=True)
            handle = os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, FILE_MODE)
        except OSError as error:
            raise UnusableDatabase(f"the data folder {folder} cannot be written: {error.strerror}") from None
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(handle)
            raise DataInUse(f"another server uses the data folder {folder}") from None
        self._lock = handle

    def unlock(self) -> None:
        """Release the lock of the data folder."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def remember(self) -> None:
        """Record the device and inode of the open file."""
        self._identity = self._read_identity()

    def has_moved(self) -> bool:
        """Return whether the open file was deleted or replaced."""
        return self._identity is not None and self._read_identity() != self._identity

    def reopen(self, engine: Engine, upgrade: Callable[[], None]) -> None:
        """Open the database again after its file was deleted or replaced. A deleted one is first written again.

        Raises
        ------
        UnusableDatabase
            If the folder cannot be written, or another server has locked it.
        """
        self.unlock()
        self.lock()
        if self._read_identity() is None:
            self._restore_deleted(engine)
            log.warning("%s was deleted while it was in use; it was written again, nothing is lost", self.path)
        else:
            log.warning("%s is another file than the one that was in use; continuing with it", self.path)
        engine.dispose()
        upgrade()
        with engine.connect():
            self.remember()

    def _restore_deleted(self, engine: Engine) -> None:
        """Restore a deleted file from a connection that has it open; raise UnusableDatabase if there is none."""
        try:
            raw = engine.raw_connection()
        except sqlite3.OperationalError:
            raise UnusableDatabase(f"the database {self.path} was deleted: restore a backup") from None
        try:
            assert isinstance(raw.driver_connection, sqlite3.Connection)
            copy_to(raw.driver_connection, self.path)
        finally:
            raw.close()

    def _read_identity(self) -> tuple[int, int] | None:
        """Return the device and inode of the file of this name; None if there is no such file."""
        # The file is not opened, because closing it would release SQLite's own locks, which belong to the process.
        with contextlib.suppress(FileNotFoundError):
            found = self.path.stat()
            return found.st_dev, found.st_ino
        return None


def connect(path: Path) -> sqlite3.Connection:
    """Open a connection of the server's engine, without creating a file: a deleted database must not become empty."""
    return sqlite3.connect(f"file:{quote(str(path))}?mode=rw", uri=True, check_same_thread=False)


def set_pragmas(connection: Any, record: Any) -> None:
    """Set the SQLite options of each new connection of the server."""
    cursor = connection.cursor()
    cursor.execute(f"PRAGMA journal_mode={'WAL' if WAL_IS_SAFE else 'DELETE'}")
    cursor.execute("PRAGMA synchronous=FULL")
    cursor.execute("PRAGMA foreign_keys=ON")
    cursor.close()


def limit_wait(connection: Connection, waited_s: float) -> None:
    """Limit the time that this transaction waits for locks, so that it is at most `MAX_WAIT_S` with `waited_s`."""
    left_ms = max(0, round(1000 * (MAX_WAIT_S - waited_s)))
    connection.exec_driver_sql(f"PRAGMA busy_timeout={left_ms}")


def copy_to(source: sqlite3.Connection, path: Path, pages: int = -1) -> None:
    """Write a consistent and complete copy of a database; after an error there is no new file.

    Raises
    ------
    OSError
        If the folder cannot be written.
    sqlite3.Error
        If the source cannot be read or the disk is full.
    """
    part = path.with_name(f"{path.name}.part")
    part.unlink(missing_ok=True)
    os.close(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, FILE_MODE))
    try:
        with contextlib.closing(sqlite3.connect(part)) as target:
            _copy(source, target, pages)
        put_in_place(part, path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise


def _copy(source: sqlite3.Connection, target: sqlite3.Connection, pages: int) -> None:
    """Copy a database in steps, or in one step if the copy has restarted too often because others write."""
    least, begun = math.inf, 1

    def limit_restarts(status: int, remaining: int, total: int) -> None:
        """Raise _CopyConflict if the copy has restarted too often."""
        nonlocal least, begun
        begun += remaining > least
        least = remaining
        if begun > MAX_BEGUN:
            raise _CopyConflict

    try:
        source.backup(target, pages=pages, progress=limit_restarts, sleep=STEP_PAUSE_S)
    except _CopyConflict:
        source.backup(target)


class _CopyConflict(Exception):
    """A copy has restarted too often."""


def put_in_place(part: Path, path: Path) -> None:
    """Rename a finished file to its final name, and make this durable."""
    _sync_file(part)
    part.replace(path)
    _sync_file(path.parent)


def _sync_file(path: Path) -> None:
    """Write the content of a file to the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def require_sound(path: Path) -> None:
    """Refuse a file that cannot be a usable database, before anything is written.

    Raises
    ------
    UnusableDatabase
        If it is a folder, empty or not writable. A file that does not exist is accepted.
    """
    if not path.exists():
        return
    if not path.is_file():
        raise UnusableDatabase(f"the database {path} is not a file: choose another data folder")
    if path.stat().st_size == 0:
        raise UnusableDatabase(f"the database {path} is empty: restore a backup, or delete the file to start again")
    if not os.access(path, os.W_OK):
        raise UnusableDatabase(f"the database {path} cannot be written: its file or its disk is read-only")
