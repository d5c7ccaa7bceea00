"""Check a database for damage: its pages, references, frame logs and ids."""

import hashlib
import zlib
from collections.abc import Iterator
from dataclasses import dataclass

from sqlalchemy import Connection, select

from mhc_core.record import codec
from mhc_core.record.source import SpecSource
from mhc_core.spec import NUMERICS_VERSION, SpecError, SpecErrors, parse_spec
from mhc_scope.store.frames import unpack_line
from mhc_scope.store.pins import list_runs_of_view
from mhc_scope.store.runs import DROPPED, LIVE, StoredRun, to_run
from mhc_scope.store.tables import frames, live_traces, runs, snapshots

BATCH_SIZE = 100
MAX_DAMAGE = 20
ID_LENGTH = 20


@dataclass
class CheckCounts:
    """Count what has been checked."""

    runs: int = 0
    frames: int = 0
    views: int = 0


def check(connection: Connection, counted: CheckCounts) -> Iterator[str]:
    """Check the whole database: yield a sentence per error, and add what is checked to `counted`.

    A server may be running. Changes that it makes during the check are not reported as errors.
    """
    if connection.dialect.name == "sqlite":
        yield from _check_file(connection)
    for run in _list_runs(connection):
        counted.runs += 1
        problems = list(check_run(connection, run, counted))
        if problems and _find_run(connection, run.id) == run:
            yield from (f"run {run.id}: {problem}" for problem in problems)
    yield from _check_views(connection, counted)


def check_run(connection: Connection, run: StoredRun, counted: CheckCounts) -> Iterator[str]:
    """Yield each error of a run. Its log must be complete with one end, its size correct, and its id the right hash."""
    query = select(frames.c.idx, frames.c.line).where(frames.c.run_id == run.id).order_by(frames.c.idx)
    digest, count, size, ends, last = hashlib.sha256(), 0, 0, 0, b""
    for index, stored in connection.execute(query):
        line = _unpack_line(stored)
        if index != count or line is None or not line.startswith(f'{{"run":"{run.id}","index":{index},'.encode()):
            yield f"frame {count} is missing or damaged"
            return
        is_end = codec.frame_type(line) == "end"
        if not is_end or b'"status":"done"' not in line:
            digest.update(line.replace(f'"run":"{run.id}"'.encode(), b'"run":""', 1))
        count, size, ends, last = count + 1, size + len(stored), ends + is_end, line
    counted.frames += count
    if (count, size) != (run.frames, run.bytes) and not run.is_live:
        yield f"it has {count} frames of {size} bytes, and its row says {run.frames} of {run.bytes}"
    is_ended = ends == 1 and codec.frame_type(last) == "end" and f'"status":"{run.status}"'.encode() in last
    if not (ends == 0 if run.is_live else is_ended):
        yield f"its status is {run.status}, and its log has {ends} ends"
    if not run.is_live and not _has_its_id(connection, run, digest.hexdigest()[:ID_LENGTH]):
        yield "its id is not the hash of what it holds"


def _check_file(connection: Connection) -> Iterator[str]:
    """Yield each error that SQLite finds in the database file."""
    for (found,) in connection.exec_driver_sql(f"PRAGMA integrity_check({MAX_DAMAGE})"):
        if found != "ok":
            yield f"the file is damaged: {found}"
    for table, row, parent, _ in connection.exec_driver_sql("PRAGMA foreign_key_check"):
        yield f"row {row} of {table} refers to a row of {parent} that is not there"


def _list_runs(connection: Connection) -> Iterator[StoredRun]:
    """Yield all stored runs, read in batches."""
    last: str | None = ""
    while last is not None:
        query = select(runs).where(runs.c.id > last, runs.c.status != DROPPED).order_by(runs.c.id)
        page = [to_run(row) for row in connection.execute(query.limit(BATCH_SIZE))]
        yield from page
        last = page[-1].id if page else None


def _find_run(connection: Connection, run_id: str) -> StoredRun | None:
    """Return the stored run with this id, or None."""
    row = connection.execute(select(runs).where(runs.c.id == run_id)).one_or_none()
    return None if row is None else to_run(row)


def _unpack_line(stored: bytes) -> bytes | None:
    """Decompress a stored line; return None if it is damaged."""
    try:
        return unpack_line(stored)
    except zlib.error:
        return None


def _has_its_id(connection: Connection, run: StoredRun, of_frames: str) -> bool:
    """Return whether the id of a run is the hash of its spec, or of its frames if it is a recording."""
    if run.kind != "run":
        return True  # not checked: the rule for ids of jobs about runs has changed between versions
    if isinstance(run.source, SpecSource):
        if (run.versions or {}).get("numerics") != NUMERICS_VERSION:
            return True  # not checked: the id follows the rules of another version, or the run never began
        try:
            return parse_spec(run.spec).id == run.id
        except (SpecError, SpecErrors):
            return False
    query = select(live_traces).where(live_traces.c.run_id == run.id)
    return connection.execute(query).one_or_none() is not None or of_frames == run.id


def _check_views(connection: Connection, counted: CheckCounts) -> Iterator[str]:
    """Yield each snapshot with runs that are missing or not pinned."""
    for view in connection.execute(select(snapshots.c.id, snapshots.c.runs, snapshots.c.sweep)).all():
        counted.views += 1
        referenced = set(list_runs_of_view(view.runs, view.sweep))
        pinned = select(runs.c.id).where(
            runs.c.id.in_(referenced), runs.c.pinned, runs.c.status.not_in((*LIVE, DROPPED))
        )
        missing = referenced - set(connection.execute(pinned).scalars())
        if missing:
            yield f"view {view.id}: it holds runs that are not there or not kept: {', '.join(sorted(missing))}"
