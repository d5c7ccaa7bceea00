"""Limit the disk space of the store: measure it, and refuse new data if it is full."""

import asyncio
import time

from mhc_scope import limits
from mhc_scope.services.errors import StorageFullError
from mhc_scope.settings import Settings
from mhc_scope.store.database import Database
from mhc_scope.store.space import Space, measure_space

# Time for which a measurement is valid, so that a burst of requests measures once.
FRESH_S = 1.0
# Above the first fraction of its limit, the store deletes old runs until it is below the second.
NEAR_FULL, ENOUGH = 0.95, 0.90


class Storage:
    """Measures the space of the store, and keeps the store below its limits.

    Attributes
    ----------
    is_near_full: event for which housekeeping waits; set if runs should be deleted soon.
    """

    def __init__(self, settings: Settings, database: Database) -> None:
        self._settings, self._database = settings, database
        self._measured: tuple[float, Space] | None = None
        self.is_near_full = asyncio.Event()

    async def measure(self) -> Space:
        """Return the used and free bytes of the database and its disk, at most a second old."""
        now = time.monotonic()
        if self._measured is None or now - self._measured[0] > FRESH_S:
            self._measured = now, await measure_space(self._database)
        return self._measured[1]

    async def require_space(self) -> None:
        """Refuse new data if the database has reached its limit, or its disk has too little free space.

        Raises
        ------
        StorageFullError
            If so. The text states which, with the sizes.
        """
        space = await self.measure()
        if count_excess(space, self._settings, NEAR_FULL):
            self.is_near_full.set()
        why = explain_full(space, self._settings)
        if why is not None:
            raise StorageFullError(f"{why}. Stored runs can be read; new ones are accepted once there is space.")

    def forget(self) -> None:
        """Discard the last measurement, because much has been stored or deleted."""
        self._measured = None

    async def count_excess(self) -> int:
        """Return the bytes to delete until the store has enough space; 0 if it is not near its limits."""
        self.forget()
        space = await self.measure()
        return count_excess(space, self._settings, ENOUGH) if count_excess(space, self._settings, NEAR_FULL) else 0


def explain_full(space: Space, settings: Settings) -> str | None:
    """Return why nothing more can be stored; None if the store has space."""
    if space.used_bytes >= settings.max_store_bytes:
        return (
            f"the database holds {_format_size(space.used_bytes)}; {_format_size(settings.max_store_bytes)} are allowed"
        )
    if space.free_bytes is not None and space.free_bytes < limits.MIN_FREE_BYTES:
        kept = _format_size(limits.MIN_FREE_BYTES)
        return f"{_format_size(space.free_bytes)} are free on the disk of the database; {kept} are kept free"
    return None


def count_excess(space: Space, settings: Settings, fraction: float) -> int:
    """Return the bytes to delete until the database is below a fraction of its limit, and the disk has enough space.

    The free space that is required is larger than the minimum by the same fraction.
    """
    over_cap = space.used_bytes - fraction * settings.max_store_bytes
    lacking = limits.MIN_FREE_BYTES / fraction - space.free_bytes if space.free_bytes is not None else 0
    return max(0, round(over_cap), round(lacking))


def _format_size(size: int) -> str:
    return f"{size / 1e9:.3g} GB" if size >= 1e9 else f"{size / 1e6:.3g} MB"
