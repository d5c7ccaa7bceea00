"""Store frames as rows. Each row is one encoded and compressed line.

A stored line is a zlib stream, or the plain line if it is shorter or an earlier version stored it. A plain line begins
with `{`, unlike any zlib stream.
"""

import math
import zlib
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from sqlalchemy import Connection, insert, select, update

from mhc_core.record import codec
from mhc_core.record.frames import StartFrame, SummaryFrame
from mhc_scope.store.tables import frames, runs

# A higher level takes up to twice as long and saves 3 % (`python -m benchmarks.storage`).
PACK_LEVEL = 1
# Number of rows per query: a reader may stop before the end.
ROWS = 32


def pack_line(line: bytes) -> bytes:
    """Compress the line of a frame for storage, unless it would not become shorter."""
    packed = zlib.compress(line, PACK_LEVEL)
    return packed if len(packed) < len(line) else line


def unpack_line(stored: bytes) -> bytes:
    """Return the plain line of a stored one."""
    return stored if stored.startswith(b"{") else zlib.decompress(stored)


def append_lines(connection: Connection, run_id: str, first: int, lines: Sequence[bytes]) -> None:
    """Append frames to the log of a run, and update the run's row with their data."""
    stored = [pack_line(line) for line in lines]
    rows = [{"run_id": run_id, "idx": first + k, "line": line} for k, line in enumerate(stored)]
    connection.execute(insert(frames), rows)
    size = sum(map(len, stored))
    values: dict[str, Any] = {"frames": first + len(lines), "bytes": runs.c.bytes + size}
    for line in lines:
        values |= _to_columns(line)
    connection.execute(update(runs).where(runs.c.id == run_id).values(values))


def read_lines(
    connection: Connection, run_id: str, after: int, limit: int, limit_bytes: float = math.inf
) -> list[bytes]:
    """Return frames after index `after` in order: at most `limit`, and limited by `limit_bytes` as in `take_lines`."""
    return take_lines(map(unpack_line, _read_rows(connection, run_id, after, limit)), limit_bytes)


def _read_rows(connection: Connection, run_id: str, after: int, limit: int) -> Iterator[bytes]:
    """Yield stored lines, read in queries of `ROWS`. A server-side cursor would stay open if its connection is cut."""
    query = select(frames.c.line).where(frames.c.run_id == run_id).order_by(frames.c.idx)
    for begun in range(0, limit, ROWS):
        rows = query.where(frames.c.idx > after + begun).limit(min(ROWS, limit - begun))
        found = connection.execute(rows).scalars().all()
        yield from found
        if len(found) < ROWS:
            return


def take_lines(lines: Iterable[bytes], limit_bytes: float) -> list[bytes]:
    """Return the first lines, up to the one with which they reach `limit_bytes`; read no further lines."""
    taken, size = [], 0
    for line in lines:
        taken.append(line)
        size += len(line)
        if size >= limit_bytes:
            break
    return taken


def _to_columns(line: bytes) -> dict[str, Any]:
    """Return the columns of the run's row that a frame sets, such as the summary."""
    if codec.frame_type(line) not in ("start", "summary"):
        return {}
    frame = codec.decode_line(line)
    if isinstance(frame, StartFrame):
        return {"device": codec.to_plain(frame.device), "versions": codec.to_plain(frame.versions)}
    assert isinstance(frame, SummaryFrame)
    return {"summary": {"headline": codec.to_plain(frame.headline), "findings": codec.to_plain(frame.findings)}}
