"""Query the database for operators: waiting and ended runs, and how much each client uses."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, func, select, text

from mhc_scope.store.database import Database, reading
from mhc_scope.store.runs import DROPPED, LIVE
from mhc_scope.store.tables import runs, snapshots, usage


@dataclass(frozen=True)
class LiveRun:
    """A run that is waiting or being computed."""

    id: str
    kind: str
    client: str
    status: str
    created_at: float
    started_at: float | None
    cost: Mapping[str, Any]

    @property
    def predicted_s(self) -> float:
        """Return the seconds that were predicted for the run when it was accepted; 0 if the prediction is unknown."""
        return float(self.cost.get("seconds_likely", 0.0))


@dataclass(frozen=True)
class EndedRun:
    """A run that has ended; times are seconds since 1970."""

    id: str
    kind: str
    client: str
    status: str
    reason: str | None
    created_at: float
    started_at: float | None
    finished_at: float


@dataclass(frozen=True)
class ClientUse:
    """What a client uses: runs and the bytes of their frames, snapshots, and seconds of recent computation."""

    client: str
    runs: int
    bytes: int
    snapshots: int
    seconds: float


class OperatorQueries:
    """Queries for the operator's page and /metrics, which only read."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def list_live(self) -> list[LiveRun]:
        """Return the runs that are waiting or being computed, the oldest first."""
        names = ("id", "kind", "client", "status", "created_at", "started_at", "cost")
        query = select(*(runs.c[name] for name in names)).where(runs.c.status.in_(LIVE)).order_by(runs.c.created_at)
        return await self._database.read(lambda c: [LiveRun(**row._mapping) for row in c.execute(query)])

    async def list_ended(self, since: float, limit: int) -> list[EndedRun]:
        """Return at most `limit` runs that ended after the time `since`, the latest first."""
        names = ("id", "kind", "client", "status", "reason", "created_at", "started_at", "finished_at")
        query = select(*(runs.c[name] for name in names)).where(runs.c.finished_at > since, runs.c.status != DROPPED)
        query = query.order_by(runs.c.finished_at.desc()).limit(limit)
        return await self._database.read(lambda c: [EndedRun(**row._mapping) for row in c.execute(query)])

    @reading
    def list_clients(self, connection: Connection, limit: int) -> list[ClientUse]:
        """Return at most `limit` clients, ordered by their stored bytes, the largest first."""
        sizes = select(runs.c.client, func.count(), func.coalesce(func.sum(runs.c.bytes), 0)).group_by(runs.c.client)
        views = select(snapshots.c.client, func.count()).group_by(snapshots.c.client)
        used: dict[str, float] = dict(connection.execute(select(usage.c.client, usage.c.seconds)).tuples().all())
        shared: dict[str, int] = dict(connection.execute(views).tuples().all())
        stored = {client: (count, int(size)) for client, count, size in connection.execute(sizes)}
        found = [
            ClientUse(client, *stored.get(client, (0, 0)), shared.get(client, 0), used.get(client, 0.0))
            for client in {*used, *shared, *stored}
        ]
        return sorted(found, key=lambda use: (-use.bytes, -use.seconds, use.client))[:limit]

    @reading
    def count_bytes(self, connection: Connection) -> tuple[int, int]:
        """Return the bytes of all frames whose size is known, and of the whole database."""
        known = connection.execute(select(func.coalesce(func.sum(runs.c.bytes), 0))).scalar_one()
        if connection.dialect.name == "sqlite":
            pages = connection.execute(text("PRAGMA page_count")).scalar_one()
            whole = pages * connection.execute(text("PRAGMA page_size")).scalar_one()
        else:
            whole = connection.execute(text("SELECT pg_database_size(current_database())")).scalar_one()
        return int(known), int(whole)
