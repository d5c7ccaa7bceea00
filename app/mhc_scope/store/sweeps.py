"""Store sweeps as rows. Only one process at a time runs an open sweep."""

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
    """One row of `sweeps`.

    Attributes
    ----------
    grid: spec, axes and run ids, which never change.
    states: state by run id, in the order in which the runs begin.
    reasons: reason of the failure by run id.
    asked_by: the client in whose name the runs are requested.
    is_open: whether some cells are pending, waiting or being computed.
    server: the process that runs it, or that ran it last.
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
    """Largest numbers of open sweeps per client, per address and in total."""

    client: int
    address: int
    all: int


class TooManyOpen(Exception):
    """A limit of open sweeps is reached. `whose` is the field of `SweepLimits`."""

    def __init__(self, whose: str) -> None:
        super().__init__(whose)
        self.whose = whose


class SweepStore:
    """Read and write the rows of sweeps, for one process.

    Attributes
    ----------
    server: id of this process.
    lease_s: time within which a server that runs a sweep must store its progress; infinite if no other server could
        take over the sweep.
    stop_s: time within which the process that runs a sweep ends it on request.
    """

    lease_s, stop_s = math.inf, 5.0

    def __init__(self, database: Database) -> None:
        self._database = database
        self.server = secrets.token_hex(8)

    async def find(self, sweep_id: str) -> SweepRow | None:
        """Return the row of a sweep; None if it is unknown."""
        if "\0" in sweep_id:  # PostgreSQL rejects such text
            return None
        return await self._database.read(lambda connection: _find_sweep(connection, sweep_id))

    async def join(self, sweep_id: str, client: str, max_requesters: int) -> SweepRow | None:
        """Add the client to the requesters of an open sweep; return the sweep's row, None if it is not open."""
        return await self._database.call(lambda connection: _join_open(connection, sweep_id, client, max_requesters))

    @transaction
    def open(self, connection: Connection, row: SweepRow, limits: SweepLimits, max_requesters: int) -> SweepRow | None:
        """Open a sweep in this process, and return None. If it is already open, add the client to its requesters.

        In that case, return its row.

        Raises
        ------
        TooManyOpen
            If it is not open, and a limit of open sweeps is reached.
        """
        self._database.lock_queue(connection)  # so that no other process opens a sweep at the same time
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
        """Store the progress of a sweep; return whether its end is requested, or None if another server runs it."""
        values = {"states": states, "reasons": reasons, "is_open": is_open}
        mine = (sweeps.c.id == sweep_id) & (sweeps.c.server == self.server)
        taken = self._take(connection)
        if not connection.execute(update(sweeps).where(mine).values(**values | taken)).rowcount:
            return None
        query = select(sweeps.c.is_cancel_asked).where(mine)
        return bool(connection.execute(query).scalar_one())

    @transaction
    def take_over(self, connection: Connection) -> list[SweepRow]:
        """Take over the open sweeps that no process runs, and return them."""
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
        """Return the keys of the requesters of a sweep that have not left it."""
        query = select(sweep_askers.c.client).where(sweep_askers.c.sweep == sweep_id)
        return await self._database.read(lambda connection: set(connection.execute(query).scalars()))

    async def leave(self, sweep_id: str, clients: set[str]) -> None:
        """Remove these clients from the requesters of a sweep."""
        own = (sweep_askers.c.sweep == sweep_id) & sweep_askers.c.client.in_(clients)
        await self._database.call(lambda connection: connection.execute(delete(sweep_askers).where(own)))

    async def request_cancel(self, sweep_id: str) -> None:
        """Request the end of a sweep from the process that runs it."""
        query = update(sweeps).where(sweeps.c.id == sweep_id).values(is_cancel_asked=True)
        await self._database.call(lambda connection: connection.execute(query))

    def _find_lost(self, ends: Mapping[str, float], now: float) -> Collection[str]:
        """Return those sweeps of other processes whose process is lost: all, because only one runs at a time."""
        return ends.keys()

    def _take(self, connection: Connection) -> dict[str, Any]:
        return {"server": self.server, "leased_until": 0.0, "changed_at": self._database.read_clock(connection)}


_COLUMNS = tuple(sweeps.c[name] for name in SweepRow.__dataclass_fields__)


def drop_ended(connection: Connection, before: float) -> int:
    """Delete sweeps that ended before this time, but not their runs; return their number."""
    return connection.execute(delete(sweeps).where(~sweeps.c.is_open, sweeps.c.changed_at < before)).rowcount


def _find_sweep(connection: Connection, sweep_id: str) -> SweepRow | None:
    """Return the row of a sweep, or None."""
    row = connection.execute(select(*_COLUMNS).where(sweeps.c.id == sweep_id)).one_or_none()
    return None if row is None else SweepRow(**row._mapping)


def _join_open(connection: Connection, sweep_id: str, client: str, limit: int) -> SweepRow | None:
    """Return the sweep if it is open, else None. Add the client to its requesters if there are fewer than `limit`."""
    row = _find_sweep(connection, sweep_id)
    if row is None or not row.is_open:
        return None
    query = select(sweep_askers.c.client).where(sweep_askers.c.sweep == sweep_id)
    known = set(connection.execute(query).scalars())
    if client not in known and len(known) < limit:
        connection.execute(insert(sweep_askers).values(sweep=sweep_id, client=client))
    return row


def _require_capacity(connection: Connection, row: SweepRow, limits: SweepLimits) -> None:
    """Raise TooManyOpen if the client, the address or all together have as many open sweeps as allowed."""
    scopes = {"client": sweeps.c.client == row.client, "address": sweeps.c.address == row.address, "all": true()}
    for whose, is_counted in scopes.items():
        query = select(func.count()).select_from(sweeps).where(sweeps.c.is_open, is_counted)
        if connection.execute(query).scalar_one() >= getattr(limits, whose):
            raise TooManyOpen(whose)
