"""Snapshots: runs and the page's state, behind a short link. They hold their runs for good."""

import hashlib
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, insert, select, update

from app.store.database import Database
from app.store.tables import runs, snapshots

ID_LENGTH = 12


@dataclass(frozen=True)
class Snapshot:
    """One stored view; `sweep` is the one behind its map, where it has one."""

    id: str
    runs: list[str]
    state: str
    title: str
    created_at: float
    note: str = ""
    sweep: dict[str, Any] | None = None
    client: str = ""
    key_hash: str | None = None
    expires_at: float | None = None
    bytes: int = 0
    room: str | None = None


class SnapshotStore:
    """Reads and writes of snapshots."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def put(
        self,
        run_ids: Sequence[str],
        state: str,
        title: str,
        note: str = "",
        sweep: dict[str, Any] | None = None,
        held: Sequence[str] = (),
        room: str | None = None,
    ) -> tuple[Snapshot, bool]:
        """Store a view and pin its runs and those `held`. The same view is the same snapshot; the flag says if new."""
        # Ids are older than notes, notes than sweeps, and sweeps than rooms.
        later: list[Any] = [note, sweep, {"room": room} if room else None]
        body = json.dumps([list(run_ids), state, title, *filter(None, later)])
        snapshot_id = hashlib.sha256(body.encode()).hexdigest()[:ID_LENGTH]
        fresh = Snapshot(snapshot_id, list(run_ids), state, title, time.time(), note, sweep, room=room)
        pinned = [*run_ids, *held]

        def work(connection: Connection) -> tuple[Snapshot, bool]:
            known = _find(connection, snapshot_id)
            if known is None:
                connection.execute(insert(snapshots).values(**vars(fresh)))
                connection.execute(update(runs).where(runs.c.id.in_(pinned)).values(pinned=True))
            return known or fresh, known is None

        return await self._database.call(work)

    async def get(self, snapshot_id: str) -> Snapshot | None:
        """The snapshot, if it is known."""
        return await self._database.call(lambda connection: _find(connection, snapshot_id))


def _find(connection: Connection, snapshot_id: str) -> Snapshot | None:
    row = connection.execute(select(snapshots).where(snapshots.c.id == snapshot_id)).one_or_none()
    return None if row is None else Snapshot(**row._mapping)
