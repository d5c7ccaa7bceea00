"""Clocks that can be set, of processes and of a PostgreSQL database. How fast time passes stays as it is."""

from collections.abc import Mapping
from pathlib import Path

import psycopg
from sqlalchemy.engine import make_url

FUNCTION = """
CREATE OR REPLACE FUNCTION faked.clock_timestamp() RETURNS timestamptz LANGUAGE sql VOLATILE AS
  'SELECT pg_catalog.clock_timestamp() + {} * interval ''1 second'' '
"""


class Clock:
    """The time of day of the processes that have its environment, by Debian's `faketime`."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / "clock"
        self.set(0)

    def set(self, ahead_s: int) -> None:
        """Let it be so many seconds ahead of the true one."""
        part = self._file.with_suffix(".part")
        part.write_text(f"{ahead_s:+d}s\n")
        part.replace(self._file)  # or a process might read half of it

    @property
    def environment(self) -> Mapping[str, str]:
        """Of the processes that go by it."""
        library = find_library()
        assert library is not None
        return {
            "LD_PRELOAD": str(library),
            "FAKETIME_TIMESTAMP_FILE": str(self._file),
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            "FAKETIME_FORCE_MONOTONIC_FIX": "0",
        }


class DatabaseClock:
    """What PostgreSQL says the time is to those who connect to a database from now on."""

    def __init__(self, url: str) -> None:
        self._address = make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)
        # Found before the built-in function of this name.
        name = make_url(url).database
        self._execute(f"CREATE SCHEMA faked; ALTER DATABASE {name} SET search_path = public, faked, pg_catalog")
        self.set(0)

    def set(self, ahead_s: int) -> None:
        """Let it be so many seconds ahead of the true one."""
        self._execute(FUNCTION.format(ahead_s))

    def _execute(self, statements: str) -> None:
        with psycopg.connect(self._address, autocommit=True) as connection:
            connection.execute(statements.encode())


def find_library() -> Path | None:
    """Where the package is installed."""
    return next((path for path in Path("/").glob("usr/lib/*/faketime/libfaketimeMT.so.1")), None)
