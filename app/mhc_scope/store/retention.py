"""Delete unused runs that no snapshot refers to, in small steps, between which the database serves requests.

A run is first marked, in the transaction that checks whether it may be deleted. From then on it is invisible. Then its
frames are deleted in batches, and finally its row. After a crash, the next retention pass continues.
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

# Limits of one step, which then takes a few milliseconds.
STEP_ROWS, STEP_BYTES = 200, 1_000_000
STEP_PAGES = 128  # largest number of pages that one step returns to the disk
MARK_BATCH_SIZE = 50
# Shortest pause after a step. The pause is at least as long as the step took.
PAUSE_S = 0.005


class ExpiringRun(NamedTuple):
    """A run that is being deleted."""

    id: str
    frames: int
    bytes: int


async def drop_unused(database: Database, unused_since: float, traces_since: float, spare: Collection[str]) -> int:
    """Delete finished runs that no snapshot refers to and that were last used before `unused_since`; return how many.

    Recordings have their own limit `traces_since`, because they cannot be computed again.
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
    """Return the number of runs that `drop_unused` would delete, and their bytes."""
    old = _is_old(unused_since, traces_since)
    query = select(func.count(), func.coalesce(func.sum(runs.c.bytes), 0)).where(old & _is_free(spare))
    count, size = await database.call(lambda connection: connection.execute(query).one())
    return int(count), int(size)


async def drop_oldest(database: Database, excess_bytes: int, unused_since: float, spare: Collection[str]) -> int:
    """Delete unused runs, the least recently used first, until `excess_bytes` are freed; return the freed bytes.

    Recordings are not deleted. Fewer bytes are freed if there are not enough unused runs.
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
    """Return unused pages to the disk, if the database has the option for it; return their number."""
    if database.path is None or await database.call(lambda c: c.exec_driver_sql("PRAGMA auto_vacuum").scalar()) != 2:
        return 0
    pages = 0
    while freed := await _pause_after(database, _free_pages):
        pages += freed
    return pages


async def vacuum(database: Database) -> int:
    """Rewrite an SQLite file without unused pages, and enable `release_pages` for it; return the number of saved pages.

    This needs disk space for a second copy. Nothing else may use the database meanwhile.
    """

    def rewrite_file(connection: Connection) -> int:
        """Rewrite the file; return the number of saved pages."""
        before = connection.exec_driver_sql("PRAGMA page_count").scalar_one()
        _get_raw(connection).executescript("PRAGMA auto_vacuum=INCREMENTAL; VACUUM")
        return int(before - connection.exec_driver_sql("PRAGMA page_count").scalar_one())

    return 0 if database.path is None else await database.call(rewrite_file)


def _is_old(unused_since: float, traces_since: float) -> ColumnElement[bool]:
    return runs.c.used_at < case((IS_TRACE, traces_since), else_=unused_since)


def _is_free(spare: Collection[str]) -> ColumnElement[bool]:
    return ~runs.c.pinned & runs.c.status.not_in((*LIVE, DROPPED)) & runs.c.id.not_in(spare)


def _mark(wanted: ColumnElement[bool], excess_bytes: float, connection: Connection) -> list[ExpiringRun]:
    """Mark runs that may be deleted, the least recently used first, until they contain `excess_bytes`; return them."""
    query = select(runs.c.id, runs.c.frames, runs.c.bytes).where(wanted).order_by(runs.c.used_at).limit(MARK_BATCH_SIZE)
    found, found_bytes = [], 0
    for run in connection.execute(query):
        if found_bytes >= excess_bytes:
            break
        found_bytes += run.bytes
        found.append(ExpiringRun(*run))
    # `of_run` is unique. It is cleared because the same job may be requested again before this row is deleted.
    chosen = runs.c.id.in_([run.id for run in found]) & wanted
    connection.execute(update(runs).where(chosen).values(status=DROPPED, of_run=None))
    return found


async def _delete_marked(database: Database) -> None:
    """Delete the marked runs in small steps, with pauses."""
    while await _pause_after(database, _delete_some):
        pass


def _delete_some(connection: Connection) -> int:
    """Delete a part of the marked runs; return the number of marked runs that were read, 0 if none remain."""
    query = select(runs.c.id, runs.c.frames, runs.c.bytes).where(runs.c.status == DROPPED).limit(MARK_BATCH_SIZE)
    marked, done = [ExpiringRun(*run) for run in connection.execute(query)], 0.0
    for run in marked:
        done += _delete_frames(connection, run, 1.0 - done)
        if done >= 1.0:
            break
    return len(marked)


def _delete_frames(connection: Connection, run: ExpiringRun, fraction: float) -> float:
    """Delete as many of the first frames of a run as this fraction of a step allows, and its row after the last frame.

    Return the fraction of a step that this took.
    """
    is_marked = exists().where(runs.c.id == run.id, runs.c.status == DROPPED)  # false if it was requested again
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
    """Return some unused pages of the SQLite file to the disk; return their number."""
    before = connection.exec_driver_sql("PRAGMA freelist_count").scalar_one()
    # As a script, because `execute` would free only one page.
    _get_raw(connection).executescript(f"PRAGMA incremental_vacuum({STEP_PAGES})")
    return int(before - connection.exec_driver_sql("PRAGMA freelist_count").scalar_one())


def _get_raw(connection: Connection) -> sqlite3.Connection:
    """Return the sqlite3 connection of an SQLAlchemy connection."""
    raw = connection.connection.driver_connection
    assert isinstance(raw, sqlite3.Connection)
    return raw


async def _pause_after(database: Database, step: Callable[[Connection], T]) -> T:
    """Run one step in the database, then pause at least as long as it took; return its result."""
    started = time.monotonic()
    result = await database.call(step)
    await asyncio.sleep(max(PAUSE_S, time.monotonic() - started))
    return result
