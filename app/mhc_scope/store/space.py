"""Measure the disk space that the store uses, and the free space."""

import shutil
from dataclasses import dataclass

from mhc_scope.store.database import Database


@dataclass(frozen=True)
class Space:
    """Report the bytes that the database uses, and the free bytes of its disk, None if the disk is remote."""

    used_bytes: int
    free_bytes: int | None


class SpaceStore:
    """Measure the sizes of the database and its disk."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def measure(self) -> Space:
        """Return the used bytes of the database and the free bytes of its disk."""
        used = await self._database.read(self._database.count_bytes)
        return Space(used, self._measure_disk())

    def _measure_disk(self) -> int | None:
        """Return the free bytes of the data folder's disk; None if it is unknown."""
        # The nearest existing folder, because the data folder may have been deleted while the server runs.
        folder = self._database.path and self._database.path.parent
        while folder is not None and not folder.is_dir():
            folder = folder.parent
        return None if folder is None else shutil.disk_usage(folder).free
