"""Databases that servers of a trial use: they can be locked from outside, and read to see what is stored."""

import contextlib
import sqlite3
import time
from pathlib import Path
from typing import Any, Protocol

import psycopg
from sqlalchemy.engine import make_url

WAIT_S = 30.0

Row = tuple[Any, ...]


class Database(Protocol):
    """What trials do to a database beside its servers; `flags` are those of `serve`."""

    flags: tuple[str, ...]

    def hold(self, seconds: float) -> None:
        """Lock the runs for so long: no server reads or writes them."""

    def select(self, query: str) -> list[Row]:
        """Rows of a query."""

    def check(self) -> list[str]:
        """What is broken, in words; empty for a sound database."""


class Sqlite:
    """The file of one server."""

    flags: tuple[str, ...] = ()

    def __init__(self, data: Path) -> None:
        self._path = data / "mhc-scope.db"

    def hold(self, seconds: float) -> None:
        """Lock the file from this process, as a backup by hand would."""
        with contextlib.closing(sqlite3.connect(self._path, timeout=WAIT_S, isolation_level=None)) as other:
            other.execute("BEGIN EXCLUSIVE")
            time.sleep(seconds)
            other.execute("ROLLBACK")

    def select(self, query: str) -> list[Row]:
        """Rows of a query."""
        with contextlib.closing(sqlite3.connect(self._path, timeout=WAIT_S)) as other:
            return other.execute(query).fetchall()

    def check(self) -> list[str]:
        """SQLite's own check of the whole file."""
        found = [str(row[0]) for row in self.select("PRAGMA integrity_check")]
        return [] if found == ["ok"] else found


class Postgresql:
    """One database that all servers share."""

    def __init__(self, url: str) -> None:
        self.flags: tuple[str, ...] = ("--database-url", url)
        self._address = make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)

    def hold(self, seconds: float) -> None:
        """Lock the table of runs, as a migration by hand would."""
        with psycopg.connect(self._address) as other:
            other.execute("LOCK TABLE runs IN ACCESS EXCLUSIVE MODE")
            time.sleep(seconds)

    def select(self, query: str) -> list[Row]:
        """Rows of a query."""
        with psycopg.connect(self._address) as other:
            return other.execute(query.encode()).fetchall()

    def check(self) -> list[str]:
        """PostgreSQL checks what it reads; so that all of it is read."""
        self.select("SELECT count(*), sum(length(line)) FROM frames")
        return []
