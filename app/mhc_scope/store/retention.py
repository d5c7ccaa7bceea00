"""Delete runs that nothing refers to and no one uses, in small steps between which the database serves requests.

A run is marked first, in the transaction that checks whether it may be deleted: from then on it is invisible. Its
frames are deleted next, in batches, and its row last. The next retention pass continues a step that a crash
interrupted.
"""

import asyncio
import math
import sqlite3
import time
from collections.abc import Callable, Collection
from functools import partial
from typing import NamedTuple, TypeVar

from sqlalchemy import ColumnElement, Connection, case, delete, exists, func, select, update

from mhc_scope.store.database import Database
from mhc_scope.store.runs import DROPPED, IS_TRACE, LIVE
from mhc_scope.store.tables import frames, live_traces, runs

T = TypeVar("T")

# One step deletes at most this much, which takes a few milliseconds.
STEP_ROWS, STEP_BYTES = 200, 1_000_000
STEP_PAGES = 128  # pages returned to the disk in one step
MARK_BATCH_SIZE = 50
# After a step, the database is left alone for as long as the step took, and at least this long.
PAUSE_S = 0.005


class ExpiringRun(NamedTuple):
    """A run that is being deleted."""

    id: str
    frames: int
    bytes: int


async def drop_unused(database: Database, unused_since: float, traces_since: float, spare: Collection[str]) -> int:
    """Delete finished runs that nothing refers to and no one has used; return how many.

    Traces, which cannot be computed again, have their own limit.
    """
    old = _is_old(unused_since, traces_since)
    dropped = 0
    await _delete_marked(database)
    while found := await database.call(partial(_mark, old & _is_free(spare), math.inf)):
        dropped += len(found)
        await _delete_marked(database)
    return dropped


async def count_unused(
    database: Database, unused_since: float, traces_since: float, spare: Collection[str]
) -> tuple[int, int]:
    """Return how many runs `drop_unused` would delete, and their bytes."""
    old = _is_old(unused_since, traces_since)
    query = select(func.count(), func.coalesce(func.sum(runs.c.bytes), 0)).where(old & _is_free(spare))
    count, size = await database.call(lambda connection: connection.execute(query).one())
    return int(count), int(size)


async def drop_oldest(database: Database, excess_bytes: int, unused_since: float, spare: Collection[str]) -> int:
    """Delete runs as `drop_unused` does, the least recently used first, until so many bytes are free again.

    Traces are kept. Return the bytes that were freed: fewer, if too few runs are unused.
    """
    freed, old = 0, runs.c.used_at < unused_since
    while freed < excess_bytes:
        found = await database.call(partial(_mark, old & ~IS_TRACE & _is_free(spare), excess_bytes - freed))
        if not found:
            break
        freed += sum(run.bytes for run in found)
        await _delete_marked(database)
    return freed


async def release_pages(database: Database) -> int:
    """Return unused pages to the disk, if the database was created for that; return how many."""
    if database.path is None or await database.call(lambda c: c.exec_driver_sql("PRAGMA auto_vacuum").scalar()) != 2:
        return 0
    pages = 0
    while freed := await _pause_after(database, _free_pages):
        pages += freed
    return pages


async def vacuum(database: Database) -> int:
    """Rewrite an SQLite file without unused pages, and so that later ones can be returned to the disk.

    It needs space for a second copy, and no one else may use the database. Return how many pages this saves.
    """

    def rewrite_file(connection: Connection) -> int:
        """Rewrite the file; return by how many pages it has shrunk."""
        before = connection.exec_driver_sql("PRAGMA page_count").scalar_one()
        _get_raw(connection).executescript("PRAGMA auto_vacuum=INCREMENTAL; VACUUM")
        return int(before - connection.exec_driver_sql("PRAGMA page_count").scalar_one())

    return 0 if database.path is None else await database.call(rewrite_file)


def _is_old(unused_since: float, traces_since: float) -> ColumnElement[bool]:
    return runs.c.used_at < case((IS_TRACE, traces_since), else_=unused_since)


def _is_free(spare: Collection[str]) -> ColumnElement[bool]:
    return ~runs.c.pinned & runs.c.status.not_in((*LIVE, DROPPED)) & runs.c.id.not_in(spare)


def _mark(wanted: ColumnElement[bool], excess_bytes: float, connection: Connection) -> list[ExpiringRun]:
    """Mark the oldest runs that may be deleted, as many as contain the excess bytes."""
    query = select(runs.c.id, runs.c.frames, runs.c.bytes).where(wanted).order_by(runs.c.used_at).limit(MARK_BATCH_SIZE)
    found, found_bytes = [], 0
    for run in connection.execute(query):
        if found_bytes >= excess_bytes:
            break
        found_bytes += run.bytes
        found.append(ExpiringRun(*run))
    # `of_run` is cleared: the run may be requested again before this one's last row is deleted.
    chosen = runs.c.id.in_([run.id for run in found]) & wanted
    connection.execute(update(runs).where(chosen).values(status=DROPPED, of_run=None))
    return found


async def _delete_marked(database: Database) -> None:
    """Delete the marked runs in small steps with pauses."""
    while await _pause_after(database, _delete_some):
        pass


def _delete_some(connection: Connection) -> int:
    """Delete a part of the marked runs; return how many were read, 0 if none remain."""
    query = select(runs.c.id, runs.c.frames, runs.c.bytes).where(runs.c.status == DROPPED).limit(MARK_BATCH_SIZE)
    marked, done = [ExpiringRun(*run) for run in connection.execute(query)], 0.0
    for run in marked:
        done += _delete_frames(connection, run, 1.0 - done)
        if done >= 1.0:
            break
    return len(marked)


def _delete_frames(connection: Connection, run: ExpiringRun, fraction: float) -> float:
    """Delete as many first frames of a run as this fraction of a step allows, and its row with the last frame.

    Return the fraction of a step that this took.
    """
    is_marked = exists().where(runs.c.id == run.id, runs.c.status == DROPPED)  # or it was requested again
    cost = max(1 / STEP_ROWS, run.bytes / max(1, run.frames) / STEP_BYTES)
    count = max(1, int(fraction / cost))
    first = connection.execute(select(func.min(frames.c.idx)).where(frames.c.run_id == run.id)).scalar()
    if first is not None:
        connection.execute(delete(frames).where(frames.c.run_id == run.id, frames.c.idx < first + count, is_marked))
    if first is None or first + count >= run.frames:
        connection.execute(delete(live_traces).where(live_traces.c.run_id == run.id, is_marked))
        connection.execute(delete(runs).where(runs.c.id == run.id, runs.c.status == DROPPED))
    return count * cost if first is not None else 1 / STEP_ROWS


def _free_pages(connection: Connection) -> int:
    """Return some unused pages of the SQLite file to the disk; return how many."""
    before = connection.exec_driver_sql("PRAGMA freelist_count").scalar_one()
    # As a script: `execute` would free one page and stop.
    _get_raw(connection).executescript(f"PRAGMA incremental_vacuum({STEP_PAGES})")
    return int(before - connection.exec_driver_sql("PRAGMA freelist_count").scalar_one())


def _get_raw(connection: Connection) -> sqlite3.Connection:
    """Return the connection of Python's sqlite3 below one of SQLAlchemy."""
    raw = connection.connection.driver_connection
    assert isinstance(raw, sqlite3.Connection)
    return raw


async def _pause_after(database: Database, step: Callable[[Connection], T]) -> T:
    """Run one step in the database, then pause as long as it took; return its result."""
    started = time.monotonic()
    result = await database.call(step)
    await asyncio.sleep(max(PAUSE_S, time.monotonic() - started))
    return result
