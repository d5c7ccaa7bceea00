"""`check-data`: a sound database passes, and each kind of damage is told."""

import contextlib
import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from mhc_core.record import codec
from mhc_core.record.frames import AnyFrame, ForwardFrame
from mhc_core.record.source import SpecSource
from mhc_core.spec import NUMERICS_VERSION, RunSpec
from mhc_scope.store.checking import CheckCounts, check
from mhc_scope.store.database import Database
from mhc_scope.store.frames import pack_line
from mhc_scope.store.runs import NewJob, RunStore
from mhc_scope.store.snapshots import SnapshotStore
from tests.app.store.filled import do, to_url
from tests.conftest import Call
from tests.records import START

NAME = "mhc-scope.db"
SPEC = RunSpec(depth=4)


def build_lines() -> list[bytes]:
    """The first frames of a run of `SPEC`."""
    start = replace(START, source=None, versions=replace(START.versions, numerics=NUMERICS_VERSION))
    frames: list[AnyFrame] = [start, *(ForwardFrame(layer=k, values={}, log10={}, status={}) for k in range(4))]
    return [codec.encode_frame(frame, SPEC.id, index) for index, frame in enumerate(frames)]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A database with a run that a view holds, and one under way."""
    path = tmp_path / "data" / NAME

    async def work(database: Database) -> None:
        store = RunStore(database)
        await store.put_queued({SPEC.id: NewJob("run", SpecSource(spec=SPEC.canonical()), {})})
        await store.append(SPEC.id, 0, build_lines())
        await store.finish(SPEC.id, 5, "done", None)
        await store.put_queued({"waiting": NewJob("run", SpecSource(spec=SPEC.canonical()), {})})
        await SnapshotStore(database).put([SPEC.id], "v=1", "t")

    do(to_url(path), work)
    return path


@contextlib.contextmanager
def edit(path: Path) -> Iterator[sqlite3.Connection]:
    with contextlib.closing(sqlite3.connect(path)) as database, database:
        yield database


def set_line(database: sqlite3.Connection, index: int, line: bytes) -> None:
    database.execute("UPDATE frames SET line = ? WHERE idx = ?", (line, index))


DAMAGES: dict[str, tuple[Callable[[sqlite3.Connection], object], str]] = {
    "a frame is gone": (lambda d: d.execute("DELETE FROM frames WHERE idx = 2"), "frame 2 is missing"),
    "bytes are not a line": (lambda d: set_line(d, 3, b"x\x9cnothing"), "frame 3 is missing or damaged"),
    "a line of another run": (lambda d: set_line(d, 1, b'{"run":"r","index":1}\n'), "frame 1 is missing or damaged"),
    "the end is gone": (lambda d: d.execute("DELETE FROM frames WHERE idx = 5"), "its log has 0 ends"),
    "two ends": (
        lambda d: set_line(d, 4, pack_line(codec.encode_end(SPEC.id, 4, "done", None))),
        "its log has 2 ends",
    ),
    "another status": (lambda d: d.execute("UPDATE runs SET status = 'failed' WHERE frames > 0"), "status is failed"),
    "a live run has an end": (
        lambda d: d.execute("UPDATE runs SET status = 'running' WHERE frames > 0"),
        "status is running, and its log has 1 ends",
    ),
    "a wrong count": (lambda d: d.execute("UPDATE runs SET frames = 9 WHERE frames > 0"), "its row says 9"),
    "wrong bytes": (lambda d: d.execute("UPDATE runs SET bytes = 1 WHERE frames > 0"), "of 1"),
    "another spec": (
        lambda d: d.execute("UPDATE runs SET source = replace(source, '\"depth\": 4', '\"depth\": 5')"),
        "not the hash of what it holds",
    ),
    "frames without a run": (
        lambda d: d.execute("INSERT INTO frames VALUES ('gone', 0, 'x')"),
        "refers to a row of runs",
    ),
    "a run that a view holds": (lambda d: d.execute("UPDATE runs SET pinned = 0"), "not there or not kept"),
}


def list_problems(path: Path) -> list[str]:
    async def work(database: Database) -> list[str]:
        return await database.call(lambda connection: list(check(connection, CheckCounts())))

    return do(to_url(path), work)


@pytest.mark.sample(4)
@pytest.mark.parametrize("damage", DAMAGES)
def test_damage_is_told(path: Path, damage: str) -> None:
    assert list_problems(path) == []
    change, said = DAMAGES[damage]
    with edit(path) as database:
        change(database)
    problems = list_problems(path)
    assert any(said in problem for problem in problems), problems


@pytest.mark.full
def test_as_people_call_it(call: Call, path: Path) -> None:
    done = call("check-data", "--data", str(path.parent))
    assert (done.returncode, done.stdout, done.stderr) == (0, "2 runs, 6 frames and 1 views: nothing wrong\n", "")
    with edit(path) as database:
        database.execute("DELETE FROM frames WHERE idx = 2")
    done = call("check-data", "--data", str(path.parent))
    assert done.returncode == 1
    assert done.stdout.splitlines()[-2] == f"run {SPEC.id}: frame 2 is missing or damaged"
    done = call("check-data", "--data", str(path.parent / "nowhere"))
    assert done.returncode == 2
    assert "there is no database" in done.stderr
    assert call("check").returncode == 2
