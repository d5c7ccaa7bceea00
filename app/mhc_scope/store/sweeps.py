"""Store sweeps as rows. One process runs an open sweep."""

import math
import secrets
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, delete, func, insert, select, true, update

from mhc_scope.store.database import Database, transaction
from mhc_scope.store.tables import sweep_askers, sweeps


@dataclass(frozen=True)
class SweepRow:
    """Describe one row of `sweeps`.

    Attributes
    ----------
    grid: spec, axes and run ids, which never change.
    states: run id -> its state, in the order in which the runs begin.
    reasons: run id -> why it failed.
    asked_by: the client in whose name the runs are requested.
    is_open: whether cells are pending, waiting or computed.
    server: the process that runs it, or ran it last.
    """

    id: str
    grid: dict[str, Any]
    states: dict[str, str]
    reasons: dict[str, str]
    asked_by: dict[str, Any]
    client: str
    address: str
    is_open: bool
    is_cancel_asked: bool = False
    server: str | None = None


@dataclass(frozen=True)
class SweepLimits:
    """Limit how many open sweeps a client, an address and all together may have."""

    client: int
    address: int
    all: int


class TooManyOpen(Exception):
    """A limit of open sweeps is reached: `whose` is a field of `SweepLimits`."""

    def __init__(self, whose: str) -> None:
        super().__init__(whose)
        self.whose = whose


class SweepStore:
    """Read and write these rows, for one process.

    Attributes
    ----------
    server: names this process.
    lease_s: time within which a server that runs a sweep must store its progress; without an end where there is no
        other that could take the sweep over.
    stop_s: time within which the process that runs a sweep ends it on request.
    """

    lease_s, stop_s = math.inf, 5.0

    def __init__(self, database: Database) -> None:
        self._database = database
        self.server = secrets.token_hex(8)

    async def find(self, sweep_id: str) -> SweepRow | None:
        """Return the row of a sweep, or None."""
        if "\0" in sweep_id:  # PostgreSQL rejects such text
            return None
        return await self._database.read(lambda connection: _find_sweep(connection, sweep_id))

    async def join(self, sweep_id: str, client: str, max_requesters: int) -> SweepRow | None:
        """Add the client to those that requested a running sweep; return None if it is not running."""
        return await self._database.call(lambda connection: _join_open(connection, sweep_id, client, max_requesters))

    @transaction
    def open(self, connection: Connection, row: SweepRow, limits: SweepLimits, max_requesters: int) -> SweepRow | None:
        """Start a sweep here, unless it is running: then add the client to those that requested it.

        Return the row of one that is running, and None if it is this process that runs it now.

        Raises
        ------
        TooManyOpen
            If it is not running, and a limit of open sweeps is reached.
        """
        self._database.lock_queue(connection)  # no one else may open one at the same time
        if (known := _join_open(connection, row.id, row.client, max_requesters)) is not None:
            return known
        _require_capacity(connection, row, limits)
        connection.execute(delete(sweep_askers).where(sweep_askers.c.sweep == row.id))
        connection.execute(delete(sweeps).where(sweeps.c.id == row.id))
        connection.execute(insert(sweeps).values(**vars(row) | self._take(connection)))
        connection.execute(insert(sweep_askers).values(sweep=row.id, client=row.client))
        return None

    @transaction
    def keep(
        self, connection: Connection, sweep_id: str, states: dict[str, str], reasons: dict[str, str], is_open: bool
    ) -> bool | None:
        """Store the progress of a sweep; return whether its end is requested, and None if another server runs it."""
        values = {"states": states, "reasons": reasons, "is_open": is_open}
        mine = (sweeps.c.id == sweep_id) & (sweeps.c.server == self.server)
        taken = self._take(connection)
        if not connection.execute(update(sweeps).where(mine).values(**values | taken)).rowcount:
            return None
        query = select(sweeps.c.is_cancel_asked).where(mine)
        return bool(connection.execute(query).scalar_one())

    @transaction
    def take_over(self, connection: Connection) -> list[SweepRow]:
        """Return the open sweeps that no process runs: from now on this one does."""
        self._database.lock_queue(connection)
        theirs = sweeps.c.is_open & (sweeps.c.server != self.server)
        others = connection.execute(select(sweeps.c.id, sweeps.c.leased_until).where(theirs))
        lost = self._find_lost({row.id: row.leased_until for row in others}, self._database.read_clock(connection))
        is_free = sweeps.c.is_open & (sweeps.c.server.is_(None) | sweeps.c.id.in_(lost))
        found = [SweepRow(**row._mapping) for row in connection.execute(select(*_COLUMNS).where(is_free))]
        connection.execute(update(sweeps).where(is_free).values(**self._take(connection)))
        return found

    async def release(self) -> None:
        """Release the sweeps of this process, so that another can continue them."""
        mine = sweeps.c.is_open & (sweeps.c.server == self.server)
        query = update(sweeps).where(mine).values(server=None, leased_until=0.0)
        await self._database.call(lambda connection: connection.execute(query))

    async def list_requesters(self, sweep_id: str) -> set[str]:
        """Return the keys of the clients that requested a sweep and have not left it."""
        query = select(sweep_askers.c.client).where(sweep_askers.c.sweep == sweep_id)
        return await self._database.read(lambda connection: set(connection.execute(query).scalars()))

    async def leave(self, sweep_id: str, clients: set[str]) -> None:
        """Remove these clients from those that requested the sweep."""
        own = (sweep_askers.c.sweep == sweep_id) & sweep_askers.c.client.in_(clients)
        await self._database.call(lambda connection: connection.execute(delete(sweep_askers).where(own)))

    async def request_cancel(self, sweep_id: str) -> None:
        """Request the end of a sweep from the process that runs it."""
        query = update(sweeps).where(sweeps.c.id == sweep_id).values(is_cancel_asked=True)
        await self._database.call(lambda connection: connection.execute(query))

    def _find_lost(self, ends: Mapping[str, float], now: float) -> Collection[str]:
        """Return those sweeps of other processes whose process is lost: all, as there was one at a time."""
        return ends.keys()

    def _take(self, connection: Connection) -> dict[str, Any]:
        return {"server": self.server, "leased_until": 0.0, "changed_at": self._database.read_clock(connection)}


_COLUMNS = tuple(sweeps.c[name] for name in SweepRow.__dataclass_fields__)


def drop_ended(connection: Connection, before: float) -> int:
    """Delete sweeps that ended before this time; their runs stay. Return how many were deleted."""
    return connection.execute(delete(sweeps).where(~sweeps.c.is_open, sweeps.c.changed_at < before)).rowcount


def _find_sweep(connection: Connection, sweep_id: str) -> SweepRow | None:
    """Return the row of a sweep, or None."""
    row = connection.execute(select(*_COLUMNS).where(sweeps.c.id == sweep_id)).one_or_none()
    return None if row is None else SweepRow(**row._mapping)


def _join_open(connection: Connection, sweep_id: str, client: str, limit: int) -> SweepRow | None:
    """Return the sweep if it is open, with the client among its requesters where there are fewer than `limit`."""
    row = _find_sweep(connection, sweep_id)
    if row is None or not row.is_open:
        return None
    query = select(sweep_askers.c.client).where(sweep_askers.c.sweep == sweep_id)
    known = set(connection.execute(query).scalars())
    if client not in known and len(known) < limit:
        connection.execute(insert(sweep_askers).values(sweep=sweep_id, client=client))
    return row


def _require_capacity(connection: Connection, row: SweepRow, limits: SweepLimits) -> None:
    """Raise TooManyOpen if a client, an address or the server has as many open sweeps as allowed."""
    scopes = {"client": sweeps.c.client == row.client, "address": sweeps.c.address == row.address, "all": true()}
    for whose, is_counted in scopes.items():
        query = select(func.count()).select_from(sweeps).where(sweeps.c.is_open, is_counted)
        if connection.execute(query).scalar_one() >= getattr(limits, whose):
            raise TooManyOpen(whose)
