"""Lease sweeps: if the server that runs a sweep does not renew its lease in time, another server takes it over."""

from collections.abc import Collection, Mapping
from typing import Any

from sqlalchemy import Connection

from mhc_scope.store.sweeps import SweepStore
from mhc_service.queue.lease_watch import LeaseWatch
from mhc_service.queue.postgresql import PostgreSQLDatabase


class SharedSweepStore(SweepStore):
    """The store of sweeps for one of several servers."""

    def __init__(self, database: PostgreSQLDatabase, lease_s: float) -> None:
        super().__init__(database)
        self.server = database.server
        self.lease_s, self.stop_s = lease_s, 2 * lease_s
        self._watch: LeaseWatch[str] = LeaseWatch(lease_s)

    def _find_lost(self, ends: Mapping[str, float], now: float) -> Collection[str]:
        """Return the sweeps whose lease was not renewed."""
        return self._watch.find(ends, now)

    def _take(self, connection: Connection) -> dict[str, Any]:
        """Return the columns of a sweep that this server runs now, with its lease."""
        taken = super()._take(connection)
        return taken | {"leased_until": taken["changed_at"] + self.lease_s}
