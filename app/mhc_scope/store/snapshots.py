"""Store snapshots: runs and the page's state, behind a short link. Their runs are pinned as long as they are stored."""

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
# A read extends the life of a view no more often than this.
RENEW_EVERY_S = 86_400.0


@dataclass(frozen=True)
class StoredSnapshot:
    """Describe a stored view; `sweep` is the open one, if there is one."""

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
    expires_at: float | None = None  # unless it is viewed before; None where it is kept forever
    bytes: int = 0  # its own, without its runs
    room: str | None = None  # of the course in which it was stored


@dataclass(frozen=True)
class Owner:
    """Record who stores a view, and until when it is kept."""

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
        also_pinned: Sequence[str] = (),
        owner: Owner | None = None,
    ) -> tuple[StoredSnapshot, bool]:
        """Store a view, and pin its runs and those `also_pinned`. The same view is one snapshot; the flag says if new.

        A known view keeps its first owner, and is kept as long as either owner wants it.
        """
        by = owner or Owner()
        # Ids are older than notes, sweeps and rooms, so each of these is hashed only where it is set.
        later: list[Any] = [note, sweep, {"room": by.room} if by.room else None]
        body = json.dumps([list(run_ids), state, title, *filter(None, later)])
        snapshot_id = hashlib.sha256(body.encode()).hexdigest()[:ID_LENGTH]
        kept = {"bytes": len(body), **vars(by)}
        fresh = StoredSnapshot(snapshot_id, list(run_ids), state, title, time.time(), note, sweep, **kept)
        pinned = [*run_ids, *also_pinned]
        known = _find_snapshot(connection, snapshot_id)
        if known is None:
            connection.execute(insert(snapshots).values(**vars(fresh)))
            connection.execute(update(runs).where(runs.c.id.in_(pinned)).values(pinned=True))
        elif is_longer(by.expires_at, known):
            _set_expiry(connection, snapshot_id, by.expires_at)
        return known or fresh, known is None

    async def get(self, snapshot_id: str) -> StoredSnapshot | None:
        """Return the snapshot of an id; None if it is unknown."""
        if "\0" in snapshot_id:  # PostgreSQL rejects such text
            return None
        return await self._database.read(lambda connection: _find_snapshot(connection, snapshot_id))

    async def renew(self, snapshot: StoredSnapshot, expires_at: float) -> None:
        """Extend the expiry of a snapshot that is viewed, if it is not kept longer."""
        if is_longer(expires_at, snapshot):
            await self._database.call(lambda connection: _set_expiry(connection, snapshot.id, expires_at))

    @reading
    def list_of(self, connection: Connection, client: str) -> list[StoredSnapshot]:
        """Return the snapshots of a client, the latest first."""
        query = select(snapshots).where(snapshots.c.client == client).order_by(snapshots.c.created_at.desc())
        return [StoredSnapshot(**row._mapping) for row in connection.execute(query)]

    @transaction
    def delete(self, connection: Connection, snapshot: StoredSnapshot) -> None:
        """Delete a snapshot, and unpin the runs that no other snapshot refers to."""
        connection.execute(delete(snapshots).where(snapshots.c.id == snapshot.id))
        unpin_unreferenced(connection, list_runs_of_view(snapshot.runs, snapshot.sweep))


def is_longer(expires_at: float | None, snapshot: StoredSnapshot) -> bool:
    """Return whether this expiry keeps a view so much longer that it is worth a write."""
    if snapshot.expires_at is None or expires_at is None:
        return snapshot.expires_at is not None
    return expires_at - snapshot.expires_at > RENEW_EVERY_S


def _find_snapshot(connection: Connection, snapshot_id: str) -> StoredSnapshot | None:
    """Return the snapshot of an id, or None."""
    row = connection.execute(select(snapshots).where(snapshots.c.id == snapshot_id)).one_or_none()
    return None if row is None else StoredSnapshot(**row._mapping)


def _set_expiry(connection: Connection, snapshot_id: str, expires_at: float | None) -> None:
    connection.execute(update(snapshots).where(snapshots.c.id == snapshot_id).values(expires_at=expires_at))
