"""Measure how much disk space the store takes, and how much is left."""

import shutil
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Connection
from sqlalchemy.engine import make_url

from mhc_scope.store.database import Database


@dataclass(frozen=True)
class Space:
    """Report the bytes that the database uses, and those free on its disk; None where the disk is remote."""

    used_bytes: int
    free_bytes: int | None


class SpaceStore:
    """Measure sizes. `url` is that of the database."""

    def __init__(self, database: Database, url: str) -> None:
        self._database = database
        self._folder = Path(make_url(url).database or "").parent if database.is_sqlite else None

    async def measure(self) -> Space:
        """Return what is used and free now."""
        used = await self._database.read(_count_pages if self._database.is_sqlite else _query_size)
        return Space(used, self._measure_disk())

    def _measure_disk(self) -> int | None:
        # The nearest folder that exists: the data folder may have been deleted while the server runs.
        folder = self._folder
        while folder is not None and not folder.is_dir():
            folder = folder.parent
        return None if folder is None else shutil.disk_usage(folder).free


def _count_pages(connection: Connection) -> int:
    """Count the used pages of an SQLite database. Free ones are reused before the file grows."""
    names = ("page_count", "freelist_count", "page_size")
    pages, free, size = (int(connection.exec_driver_sql(f"PRAGMA {name}").scalar_one()) for name in names)
    return (pages - free) * size


def _query_size(connection: Connection) -> int:
    """Query the size of a PostgreSQL database on its disk. Deleted rows count until a vacuum has run."""
    return int(connection.exec_driver_sql("SELECT pg_database_size(current_database())").scalar_one())
