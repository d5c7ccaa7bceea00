"""Delete expired snapshots, and unpin runs that no other snapshot refers to."""

from functools import partial
from typing import Any

from sqlalchemy import ColumnElement, Connection, delete, select, update

from mhc_scope.store.database import Database
from mhc_scope.store.pins import list_runs_of_view
from mhc_scope.store.tables import runs, snapshots

EXPIRED_BATCH_SIZE = 100
BATCH_SIZE = 500


async def drop_expired(database: Database, now: float) -> int:
    """Delete snapshots that expired before `now`; return their number."""
    dropped = 0
    while expired := await database.call(partial(_find_expired, now)):
        referenced = {run_id for row in expired for run_id in list_runs_of_view(row.runs, row.sweep)}
        referenced -= await _find_referenced_elsewhere(database, now)
        ids = [row.id for row in expired]
        dropped += await database.call(partial(_drop_expired, now, ids, referenced))
    return dropped


def _find_expired(now: float, connection: Connection) -> list[Any]:
    """Return a batch of snapshots that expired before `now`: their ids and runs."""
    query = select(snapshots.c.id, snapshots.c.runs, snapshots.c.sweep)
    return list(connection.execute(query.where(snapshots.c.expires_at < now).limit(EXPIRED_BATCH_SIZE)))


async def _find_referenced_elsewhere(database: Database, now: float) -> set[str]:
    """Return the ids of all runs of snapshots that have not expired. The snapshots are read in batches."""
    referenced, last = set[str](), ""
    while True:
        page = await database.call(partial(_list_kept, now, snapshots.c.id > last, BATCH_SIZE))
        if not page:
            return referenced
        referenced.update(run_id for row in page for run_id in list_runs_of_view(row.runs, row.sweep))
        last = page[-1].id


def _list_kept(now: float, where: ColumnElement[bool], limit: int | None, connection: Connection) -> list[Any]:
    """Return snapshots that have not expired and meet the condition: their ids and runs."""
    is_kept = snapshots.c.expires_at.is_(None) | (snapshots.c.expires_at >= now)
    query = select(snapshots.c.id, snapshots.c.runs, snapshots.c.sweep).where(is_kept, where)
    return list(connection.execute(query.order_by(snapshots.c.id).limit(limit)))


def _drop_expired(now: float, ids: list[str], referenced: set[str], connection: Connection) -> int:
    """Delete the expired ones of these snapshots; unpin runs that no other refers to. Return the number deleted."""
    # In the meantime a new snapshot may refer to the same runs, or the expiry of one may have been postponed.
    is_new = (snapshots.c.created_at > now - 60.0) | snapshots.c.id.in_(ids)
    for row in _list_kept(now, is_new, None, connection):
        referenced = referenced - set(list_runs_of_view(row.runs, row.sweep))
    connection.execute(update(runs).where(runs.c.id.in_(referenced)).values(pinned=False))
    is_expired = snapshots.c.id.in_(ids) & (snapshots.c.expires_at < now)
    return connection.execute(delete(snapshots).where(is_expired)).rowcount
