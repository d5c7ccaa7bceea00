"""Frames as rows: one line each, as it was encoded once."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, insert, select, update

from app.store.tables import frames, runs
from mhc_core.record import codec
from mhc_core.record.frames import StartFrame, SummaryFrame


def append_lines(connection: Connection, run_id: str, first: int, lines: Sequence[bytes]) -> None:
    """Add lines behind those stored, and to the run's row what they say of it."""
    rows = [{"run_id": run_id, "idx": first + k, "line": line} for k, line in enumerate(lines)]
    connection.execute(insert(frames), rows)
    size = sum(map(len, lines))
    values: dict[str, Any] = {"frames": first + len(lines), "bytes": runs.c.bytes + size}
    for line in lines:
        values |= _to_columns(line)
    connection.execute(update(runs).where(runs.c.id == run_id).values(values))


def read_lines(connection: Connection, run_id: str, after: int, limit: int) -> list[bytes]:
    """Lines behind index `after`, in order, at most `limit`."""
    query = select(frames.c.line).where(frames.c.run_id == run_id, frames.c.idx > after)
    return list(connection.execute(query.order_by(frames.c.idx).limit(limit)).scalars())


def _to_columns(line: bytes) -> dict[str, Any]:
    """What a frame adds to its run's row."""
    if codec.frame_type(line) not in ("start", "summary"):
        return {}
    frame = codec.decode_line(line)
    if isinstance(frame, StartFrame):
        return {"device": codec.to_plain(frame.device), "versions": codec.to_plain(frame.versions)}
    assert isinstance(frame, SummaryFrame)
    return {"summary": {"headline": codec.to_plain(frame.headline), "findings": codec.to_plain(frame.findings)}}
