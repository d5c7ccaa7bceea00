"""Measure the disk space that the store uses, and the free space."""

import shutil
from dataclasses import dataclass

from mhc_scope.store.database import Database


@dataclass(frozen=True)
class Space:
    """Report the bytes that the database uses, and the free bytes of its disk, None if the disk is remote."""

    used_bytes: int
    free_bytes: int | None


async def measure_space(database: Database) -> Space:
    """Return the used bytes of the database and the free bytes of its disk."""
    used = await database.read(database.count_bytes)
    # The nearest existing folder, because the data folder may have been deleted while the server runs.
    folder = database.path and database.path.parent
    while folder is not None and not folder.is_dir():
        folder = folder.parent
    return Space(used, None if folder is None else shutil.disk_usage(folder).free)
