"""A trace of a tiny DeepSeek-V4, stored as the store's own API stores records that are not computed here.

Its frames are in `traced.ndjson`, so that tests of the instrument need no probe; `tests/probe/attach/test_traced.py`
compares the file with what the probe records.
"""

import hashlib
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from mhc_core.record.codec import decode_line, encode_frame
from mhc_core.record.result import Result
from mhc_core.record.source import TraceSource
from mhc_scope.store.runs import RunStore
from mhc_scope.store.sqlite_database import SqliteDatabase
from tests.apart import run_loop
from tests.conftest import Server, start_server

FILE = Path(__file__).with_suffix(".ndjson")
NAME = "DeepseekV4ForCausalLM"
SHORT_NAME = "DeepseekV…CausalLM"  # right of small charts
LAYERS, STREAMS = 6, 4


@dataclass(frozen=True)
class Trace:
    """What was recorded, and its lines under its id, which is a hash of them."""

    id: str
    result: Result
    lines: list[bytes]

    @property
    def source(self) -> TraceSource:
        assert isinstance(self.result.source, TraceSource)
        return self.result.source


@cache
def read_trace() -> Trace:
    """One forward and one backward pass of the model."""
    content, result = FILE.read_bytes(), Result()
    name = hashlib.sha256(content).hexdigest()[:20]
    for line in content.splitlines():
        result.add(decode_line(line))
    return Trace(name, result, [encode_frame(frame, name, index) for index, frame in enumerate(result.frames)])


def start_with_trace(data: Path) -> Server:
    """A server whose data folder holds the trace."""
    store_trace(data)
    return start_server(data, "--no-precompute", "--workers", "1")


def store_trace(data: Path) -> None:
    """Store the trace in a data folder that no server uses."""
    data.mkdir(parents=True, exist_ok=True)
    run_loop(_store(data, read_trace()))


def add_trace(server: Server, scratch: Path) -> None:
    """Store the trace with a running server, which has its folder locked: by way of another folder."""
    store_trace(scratch)
    with closing(sqlite3.connect(server.data / "mhc-scope.db", timeout=30)) as database, database:
        database.execute("attach ? as scratch", (str(scratch / "mhc-scope.db"),))
        database.execute("insert into runs select * from scratch.runs")
        database.execute("insert into frames (run_id, idx, line) select run_id, idx, line from scratch.frames")


async def _store(data: Path, trace: Trace) -> None:
    database = SqliteDatabase(f"sqlite:///{data / 'mhc-scope.db'}")
    assert await RunStore(database).add_record(trace.id, trace.source, trace.lines)
    await database.close()
