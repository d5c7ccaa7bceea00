"""Frames as they are stored: smaller, and the same when they are read."""

import contextlib
import sqlite3
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mhc_core.record.source import SpecSource
from mhc_scope.store.database import Database
from mhc_scope.store.frame_log import VIEWER_BYTES, FrameLog
from mhc_scope.store.frames import pack_line, unpack_line
from mhc_scope.store.notifications import Hub
from mhc_scope.store.runs import NewJob, RunStore
from tests.app.store.filled import build_lines, do, to_url


@given(st.binary(max_size=2000))
def test_a_line_comes_back_as_it_was(text: bytes) -> None:
    line = b"{" + text
    stored = pack_line(line)
    assert unpack_line(stored) == line
    assert len(stored) <= len(line)


def test_a_line_that_repeats_itself_takes_less() -> None:
    assert len(pack_line(b'{"gain":[' + b"1.0," * 500 + b"1]}\n")) < 100


def test_the_row_of_a_run_says_what_its_frames_take(tmp_path: Path) -> None:
    path = tmp_path / "mhc-scope.db"
    lines = [*build_lines("r", 3), b'{"run":"r","index":3,"type":"forward","values":[' + b"0," * 400 + b"0]}\n"]

    async def work(database: Database) -> tuple[int, list[bytes]]:
        store = RunStore(database)
        await store.put_queued({"r": NewJob("run", SpecSource(spec={}), {})})
        await store.append("r", 0, lines)
        run = await store.get("r")
        assert run is not None
        return run.bytes, await store.read("r", -1, 10)

    size, read = do(to_url(path), work)
    assert read == lines
    with contextlib.closing(sqlite3.connect(path)) as database:
        ((stored,),) = database.execute("SELECT sum(length(line)) FROM frames").fetchall()
    assert size == stored < sum(map(len, lines))


@pytest.mark.parametrize("is_held", [True, False], ids=["memory", "database"])
def test_a_viewer_is_given_few_bytes_at_a_time(tmp_path: Path, is_held: bool) -> None:
    lines = build_lines("r", 200)
    line = b'{"run":"r","index":200,"type":"forward","values":[' + b"0," * VIEWER_BYTES + b"0]}\n"

    async def work(database: Database) -> tuple[list[bytes], list[bytes], list[bytes]]:
        store = RunStore(database)
        log = FrameLog(store, Hub(), 2**30)
        await store.put_queued({"r": NewJob("run", SpecSource(spec={}), {})})
        log.begin("r")
        await log.append("r", 0, [*lines, line, lines[0]])
        if not is_held:
            log.forget("r")
        few = await log.read("r", -1, limit_bytes=3 * len(lines[0]) - 1)
        return few, await log.read("r", 199), [one async for one in log.read_all("r")]

    few, large, whole = do(to_url(tmp_path / "mhc-scope.db"), work)
    assert few == lines[:3]
    assert large == [line]  # one at least, however large
    assert whole == [*lines, line, lines[0]]


@pytest.mark.parametrize("line", [b"{}\n", b'{"run":"r","index":0,"type":"forward"}\n'])
def test_rows_of_earlier_versions_stay_readable(tmp_path: Path, line: bytes) -> None:
    path = tmp_path / "mhc-scope.db"

    async def write(database: Database) -> None:
        await RunStore(database).put_queued({"r": NewJob("run", SpecSource(spec={}), {})})

    async def read(database: Database) -> list[bytes]:
        return await RunStore(database).read("r", -1, 10)

    do(to_url(path), write)
    with contextlib.closing(sqlite3.connect(path)) as database, database:
        database.execute("INSERT INTO frames VALUES ('r', 0, ?)", (line,))
    assert do(to_url(path), read) == [line]
