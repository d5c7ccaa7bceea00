"""Store snapshots: runs and the state of the page, with a short link. Their runs are pinned while they are stored."""

import hashlib
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, delete, insert, select, update

from mhc_scope.store.database import Database, reading, transaction
from mhc_scope.store.pins import list_runs_of_view, unpin_unreferenced
from mhc_scope.store.tables import runs, snapshots

ID_LENGTH = 12
# Shortest time by which a read extends the expiry of a view.
RENEW_EVERY_S = 86_400.0


@dataclass(frozen=True)
class StoredSnapshot:
    """A stored view. `sweep` is its open sweep, if there is one."""

    id: str
    runs: list[str]
    state: str
    title: str
    created_at: float
    note: str = ""
    sweep: dict[str, Any] | None = None
    client: str = ""
    address: str = ""
    key_hash: str | None = None  # of a secret that was returned to its creator
    expires_at: float | None = None  # unless it is viewed before; None if it does not expire
    bytes: int = 0  # without its runs
    room: str | None = None  # of the course in which it was stored


@dataclass(frozen=True)
class Owner:
    """The owner of a view, and the time until which it is stored."""

    client: str = ""
    address: str = ""
    key_hash: str | None = None
    expires_at: float | None = None
    room: str | None = None


class SnapshotStore:
    """Read and write snapshots."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @transaction
    def put(
        self,
        connection: Connection,
        run_ids: Sequence[str],
        state: str,
        title: str,
        note: str = "",
        sweep: dict[str, Any] | None = None,
        owner: Owner | None = None,
    ) -> tuple[StoredSnapshot, bool]:
        """Store a view, and pin its runs and the done ones of its sweep; return the snapshot and whether it is new.

        Equal views are one snapshot, which keeps its first owner and the later expiry.
        """
        by = owner or Owner()
        # Notes, sweeps and rooms are hashed only if they are set, so that the ids of earlier views do not change.
        later: list[Any] = [note, sweep, {"room": by.room} if by.room else None]
        body = json.dumps([list(run_ids), state, title, *filter(None, later)])
        snapshot_id = hashlib.sha256(body.encode()).hexdigest()[:ID_LENGTH]
        kept = {"bytes": len(body), **vars(by)}
        fresh = StoredSnapshot(snapshot_id, list(run_ids), state, title, time.time(), note, sweep, **kept)
        known = _find_snapshot(connection, snapshot_id)
        if known is None:
            connection.execute(insert(snapshots).values(**vars(fresh)))
            connection.execute(update(runs).where(runs.c.id.in_(list_runs_of_view(run_ids, sweep))).values(pinned=True))
        elif is_longer(by.expires_at, known):
            _set_expiry(connection, snapshot_id, by.expires_at)
        return known or fresh, known is None

    async def get(self, snapshot_id: str) -> StoredSnapshot | None:
        """Return the snapshot with this id; None if it is unknown."""
        if "\0" in snapshot_id:  # PostgreSQL rejects such text
            return None
        return await self._database.read(lambda connection: _find_snapshot(connection, snapshot_id))

    async def renew(self, snapshot: StoredSnapshot, expires_at: float) -> None:
        """Extend the expiry of a viewed snapshot, unless its expiry is later or almost the same."""
        if is_longer(expires_at, snapshot):
            await self._database.call(lambda connection: _set_expiry(connection, snapshot.id, expires_at))

    @reading
    def list_of(self, connection: Connection, client: str) -> list[StoredSnapshot]:
        """Return the snapshots of a client, the newest first."""
        query = select(snapshots).where(snapshots.c.client == client).order_by(snapshots.c.created_at.desc())
        return [StoredSnapshot(**row._mapping) for row in connection.execute(query)]

    @transaction
    def delete(self, connection: Connection, snapshot: StoredSnapshot) -> None:
        """Delete a snapshot, and unpin those of its runs that no other snapshot refers to."""
        connection.execute(delete(snapshots).where(snapshots.c.id == snapshot.id))
        unpin_unreferenced(connection, list_runs_of_view(snapshot.runs, snapshot.sweep))


def is_longer(expires_at: float | None, snapshot: StoredSnapshot) -> bool:
    """Return whether this expiry is so much later than that of a view that it is worth a write."""
    if snapshot.expires_at is None or expires_at is None:
        return snapshot.expires_at is not None
    return expires_at - snapshot.expires_at > RENEW_EVERY_S


def _find_snapshot(connection: Connection, snapshot_id: str) -> StoredSnapshot | None:
    """Return the snapshot with this id, or None."""
    row = connection.execute(select(snapshots).where(snapshots.c.id == snapshot_id)).one_or_none()
    return None if row is None else StoredSnapshot(**row._mapping)


def _set_expiry(connection: Connection, snapshot_id: str, expires_at: float | None) -> None:
    connection.execute(update(snapshots).where(snapshots.c.id == snapshot_id).values(expires_at=expires_at))
