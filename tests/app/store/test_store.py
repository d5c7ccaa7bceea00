"""The store alone, on a real SQLite file: what memory has dropped comes back from the database, the same bytes."""

import hashlib
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

import pytest
from sqlalchemy.exc import IntegrityError

from mhc_core.record import codec
from mhc_core.record.frames import EndFrame, ForwardFrame, Frame
from mhc_core.record.source import SpecSource
from mhc_scope.store.errors import DataInUse
from mhc_scope.store.frame_log import FrameLog
from mhc_scope.store.local_queue import LocalQueue
from mhc_scope.store.notifications import Hub
from mhc_scope.store.runs import NewJob, RunStore
from mhc_scope.store.snapshots import SnapshotStore
from mhc_scope.store.sqlite_database import SqliteDatabase
from tests.apart import run_loop
from tests.records import START, TRACE

T = TypeVar("T")
LINES = [b'{"run":"r","index":%d,"type":"forward"}\n' % index for index in range(600)]

JOB = NewJob("run", SpecSource(spec={}), {})


def with_log(folder: Path, cache_bytes: int, work: Callable[[FrameLog, RunStore], Awaitable[T]]) -> T:
    """Do `work` on a log with one run queued."""

    async def inside() -> T:
        database = SqliteDatabase(f"sqlite:///{folder / 'test.db'}")
        try:
            store = RunStore(database)
            await store.put_queued({"r": JOB})
            return await work(FrameLog(store, Hub(), cache_bytes), store)
        finally:
            await database.close()

    return run_loop(inside())


@pytest.mark.parametrize("cache_bytes", [0, 1_000, 10_000_000])
def test_pages_are_the_same_from_memory_and_from_the_database(tmp_path: Path, cache_bytes: int) -> None:
    async def work(log: FrameLog, store: RunStore) -> list[bytes]:
        for first in range(0, len(LINES), 100):
            await log.append("r", first, LINES[first : first + 100])
        assert await log.read("r", 99, 3) == LINES[100:103]
        assert await log.read("r", len(LINES)) == []
        assert (await store.get("r")).frames == len(LINES)  # type: ignore[union-attr]
        return [line async for line in log.read_all("r")]

    assert with_log(tmp_path, cache_bytes, work) == LINES


def test_what_happens_to_a_run_happens_to_no_other(tmp_path: Path) -> None:
    async def work(log: FrameLog, store: RunStore) -> None:
        async def look() -> list[tuple[str, int]]:
            return [(run.status, run.frames) for name in "qrs" if (run := await store.get(name)) is not None]

        waiting = ("queued", 0)
        await LocalQueue(store._database).take_turn({}, free=1)
        await store.put_queued({"q": JOB, "s": JOB})
        assert await look() == [waiting, ("running", 0), waiting]
        await log.append("r", 0, LINES[:3])
        assert await look() == [waiting, ("running", 3), waiting]
        await log.finish("r", 3, "done", None)
        assert await look() == [waiting, ("done", 4), waiting]

    with_log(tmp_path, 0, work)


@pytest.mark.parametrize("cache_bytes", [0, 10_000_000])
def test_a_shipped_record_is_read_from_memory_as_it_is_stored(tmp_path: Path, cache_bytes: int) -> None:
    async def work(log: FrameLog, store: RunStore) -> None:
        await log.add_record("s", SpecSource(spec={}), LINES[:3], {"seconds": 1.0})
        assert ("s" in log._cached) == (cache_bytes > 0)
        stored = await store.read("s", -1, 10)
        assert await log.read("s", -1) == stored
        assert [codec.frame_type(line) for line in stored] == ["forward"] * 3 + ["end"]

    with_log(tmp_path, cache_bytes, work)


def test_a_run_that_is_known_is_not_replaced_by_a_shipped_record(tmp_path: Path) -> None:
    async def work(log: FrameLog, store: RunStore) -> None:
        await log.append("r", 0, LINES[:2])
        await log.add_record("r", SpecSource(spec={}), LINES[:3], {})
        assert await log.read("r", -1) == await store.read("r", -1, 10) == LINES[:2]

    with_log(tmp_path, 10_000_000, work)


def test_the_end_is_in_the_database_and_not_in_memory_alone(tmp_path: Path) -> None:
    async def work(log: FrameLog, store: RunStore) -> None:
        await log.append("r", 0, LINES[:3])
        await log.finish("r", 3, "done", None)
        (end,) = await store.read("r", 2, 10)
        assert codec.frame_type(end) == "end"
        run = await store.get("r")
        assert run is not None
        assert (run.status, run.frames) == ("done", 4)

    with_log(tmp_path, 10_000_000, work)


def test_viewers_are_woken_by_frames_and_by_the_end(tmp_path: Path) -> None:
    async def work(_: FrameLog, store: RunStore) -> None:
        hub = Hub()
        log = FrameLog(store, hub, 10_000_000)
        with hub.subscribe(["r"], "viewer") as subscription:
            await log.append("r", 0, LINES[:3])
            assert await subscription.wait(0.01)
            assert not await subscription.wait(0.01)
            await log.finish("r", 3, "done", None)
            assert await subscription.wait(0.01)

    with_log(tmp_path, 0, work)


def test_an_index_is_stored_once(tmp_path: Path) -> None:
    async def work(log: FrameLog, store: RunStore) -> None:
        await log.append("r", 0, LINES[:2])
        with pytest.raises(IntegrityError):
            await log.append("r", 1, LINES[1:2])
        assert await store.read("r", -1, 10) == LINES[:2]

    with_log(tmp_path, 0, work)


def test_a_run_that_starts_again_has_no_frames(tmp_path: Path) -> None:
    async def work(log: FrameLog, store: RunStore) -> None:
        await log.append("r", 0, LINES[:2])
        await log.finish("r", 2, "failed", "out of memory")
        log.begin("r")
        await store.put_queued({"r": JOB})
        run = await store.get("r")
        assert run is not None
        assert (run.status, run.reason, run.frames, run.bytes, run.finished_at) == ("queued", None, 0, 0, None)
        assert await log.read("r", -1) == []

    with_log(tmp_path, 1_000_000, work)


def test_a_folder_has_one_owner(tmp_path: Path) -> None:
    async def work(log: FrameLog, store: RunStore) -> None:
        with pytest.raises(DataInUse, match=str(tmp_path)):
            SqliteDatabase(f"sqlite:///{tmp_path / 'test.db'}")

    with_log(tmp_path, 0, work)


def test_the_same_view_is_the_same_snapshot_and_another_note_another(tmp_path: Path) -> None:
    async def work(log: FrameLog, store: RunStore) -> None:
        snapshots = SnapshotStore(store._database)
        plain, is_new = await snapshots.put(["r"], "v=1", "t")
        assert is_new
        assert plain.id == hashlib.sha256(b'[["r"], "v=1", "t"]').hexdigest()[:12], "ids of views without a note stay"
        assert await snapshots.put(["r"], "v=1", "t", "") == (plain, False)
        noted, is_new = await snapshots.put(["r"], "v=1", "t", "n")
        assert is_new
        assert noted.id != plain.id

    with_log(tmp_path, 1000, work)


def test_a_job_about_a_run_is_found_by_its_kind(tmp_path: Path) -> None:
    async def work(log: FrameLog, store: RunStore) -> None:
        assert await store.find_job("verification", "r") is None
        await store.put_queued({"v": NewJob("verification", SpecSource(spec={}), {}, of_run="r")})
        found = await store.find_job("verification", "r")
        assert found is not None
        assert (found.id, found.kind, found.of_run) == ("v", "verification", "r")
        assert await store.find_job("run", "r") is None
        assert await store.find_job("verification", "v") is None
        with pytest.raises(IntegrityError):
            await store.put_queued({"w": NewJob("verification", SpecSource(spec={}), {}, of_run="r")})

    with_log(tmp_path, 0, work)


def test_a_record_without_a_spec_is_stored_whole(tmp_path: Path) -> None:
    frames: list[Frame] = [START, ForwardFrame(layer=0, values={}, log10={}, status={})]
    lines = [codec.encode_frame(frame, "t", index) for index, frame in enumerate(frames)]

    async def work(log: FrameLog, store: RunStore) -> None:
        assert await store.add_record("t", TRACE, lines)
        record = await store.get("t")
        assert record is not None
        assert (record.kind, record.source, record.status, record.frames) == ("run", TRACE, "done", 3)
        assert record.device == {"type": "cpu", "name": "cpu"}
        assert not record.is_live
        *stored, end = await log.read("t", -1)
        assert stored == lines
        assert codec.decode_line(end) == EndFrame(status="done", reason=None)
        assert not await store.add_record("t", TRACE, []), "an id is stored once"
        assert (await store.get("t")) == record

    with_log(tmp_path, 0, work)
