"""Sweeps: what goes, what stays, in which steps; on SQLite, and in `full` on PostgreSQL."""

import asyncio
import os
import threading
import time
from pathlib import Path

import pytest
from sqlalchemy import Connection, delete, func, select

from mhc_core.record.source import SpecSource
from mhc_scope.store import retention as sweeping
from mhc_scope.store.database import Database
from mhc_scope.store.retention import drop_oldest, drop_unused, release_pages
from mhc_scope.store.runs import NewJob, RunStore
from mhc_scope.store.snapshots import SnapshotStore
from mhc_scope.store.tables import frames, runs
from tests.app.store.filled import DAY_S, add_run, do, do_with, to_url
from tests.app.store.place import Place
from tests.records import TRACE


async def list_runs(database: Database) -> list[str]:
    """All rows, those that are being dropped among them."""
    return await database.call(lambda c: list(c.execute(select(runs.c.id).order_by(runs.c.id)).scalars()))


async def count_frames(database: Database) -> int:
    return await database.call(lambda c: int(c.execute(select(func.count()).select_from(frames)).scalar_one()))


def test_old_runs_go_whole_and_others_stay(place: Place) -> None:
    async def work(database: Database) -> None:
        await add_run(database, "new", age_days=0.5)
        for name in ("old", "held", "opening"):
            await add_run(database, name)
        await SnapshotStore(database).put(["held"], "v=1", "t")
        await RunStore(database).add_record("trace", TRACE, [])
        dropped = await drop_unused(database, time.time() - DAY_S, 0.0, ["opening"])
        assert dropped == 1
        assert await list_runs(database) == ["held", "new", "opening", "trace"]
        assert await count_frames(database) == 3 * 11 + 1

    do_with(place.open, work)


def test_a_large_run_goes_in_steps_and_is_not_there_meanwhile(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sweeping, "STEP_ROWS", 10)
    monkeypatch.setattr(sweeping, "PAUSE_S", 0.05)  # a busy machine counts slowly

    async def work(database: Database) -> None:
        await add_run(database, "big", frames=95)
        store, seen = RunStore(database), []
        before = await count_frames(database)
        task = asyncio.create_task(drop_unused(database, time.time(), 0.0, ()))
        while not task.done():
            seen.append((await count_frames(database), await store.get("big") is None))
        assert await task == 1
        between = {count for count, is_gone in seen if is_gone and 0 < count < before}
        assert len(between) >= 5, "requests came in between"
        assert await list_runs(database) == []

    do_with(place.open, work)


def test_a_run_that_is_asked_for_again_while_it_goes_is_whole(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sweeping, "STEP_ROWS", 10)

    async def work(database: Database) -> None:
        await add_run(database, "big", frames=95)
        task = asyncio.create_task(drop_unused(database, time.time(), 0.0, ()))
        while await count_frames(database) > 60:
            await asyncio.sleep(0)
        await add_run(database, "big", frames=30, age_days=0.0)
        await task
        run = await RunStore(database).get("big")
        assert run is not None
        assert (run.status, run.frames) == ("done", 31)
        assert len(await RunStore(database).read("big", -1, 100)) == 31
        assert await count_frames(database) == 31

    do_with(place.open, work)


def test_a_run_whose_row_goes_at_that_moment_is_put_anew(place: Place) -> None:
    going, may_end = threading.Event(), threading.Event()

    def drop(connection: Connection) -> None:
        connection.execute(delete(frames))
        connection.execute(delete(runs))
        going.set()
        assert may_end.wait(20)

    async def work(database: Database) -> None:
        await add_run(database, "r")
        await database.call(lambda c: c.execute(runs.update().values(status="dropped")))
        dropping = asyncio.create_task(database.call(drop))
        await asyncio.to_thread(going.wait, 20)
        job = NewJob("run", SpecSource(spec={}), {})
        putting = asyncio.create_task(RunStore(database).put_queued({"r": job}))
        await asyncio.sleep(0.3)
        may_end.set()
        await asyncio.gather(dropping, putting)
        run = await RunStore(database).get("r")
        assert run is not None
        assert run.status == "queued"

    do_with(place.open, work)


def test_a_trace_that_comes_again_while_it_goes_is_stored(place: Place) -> None:
    async def work(database: Database) -> None:
        store = RunStore(database)
        assert await store.add_record("t", TRACE, [])
        await database.call(lambda c: c.execute(runs.update().values(status="dropped")))
        assert await store.get("t") is None
        assert await store.count_by_status() == {}
        assert await store.add_record("t", TRACE, [])
        assert await drop_unused(database, 0.0, 0.0, ()) == 0
        assert await list_runs(database) == ["t"]

    do_with(place.open, work)


def test_what_a_crash_cut_short_is_taken_up(place: Place) -> None:
    async def work(database: Database) -> None:
        await add_run(database, "r", frames=40)
        await database.call(lambda c: c.execute(runs.update().values(status="dropped")))
        assert await drop_unused(database, 0.0, 0.0, ()) == 0, "nothing else is old"
        assert await list_runs(database) == []
        assert await count_frames(database) == 0

    do_with(place.open, work)


def test_a_verification_can_be_asked_for_while_the_old_one_goes(place: Place) -> None:
    async def work(database: Database) -> None:
        store, job = RunStore(database), NewJob("verification", SpecSource(spec={}), {}, of_run="r")
        await store.put_queued({"v": job})
        await store.finish("v", 0, "done", None)
        await database.call(lambda c: sweeping._mark(runs.c.id == "v", 1.0, c))
        assert await store.find_job("verification", "r") is None
        await store.put_queued({"w": job})

    do_with(place.open, work)


def test_the_oldest_go_first_and_no_more_than_must(place: Place) -> None:
    async def work(database: Database) -> None:
        for age, name in enumerate("abcdef", start=1):
            await add_run(database, name, age_days=age)
        await RunStore(database).add_record("trace", TRACE, [])
        each = await database.call(lambda c: int(c.execute(select(runs.c.bytes).where(runs.c.id == "a")).scalar_one()))
        freed = await drop_oldest(database, each + 1, time.time() - DAY_S / 2, ())
        assert freed >= each + 1
        assert await list_runs(database) == ["a", "b", "c", "d", "trace"]
        assert await drop_oldest(database, 10**12, time.time() - 2.5 * DAY_S, ["d"]) == pytest.approx(each, rel=0.1)
        assert await list_runs(database) == ["a", "b", "d", "trace"], "c was the only one that was old and not spared"

    do_with(place.open, work)


def test_pages_are_given_back_to_the_disk(tmp_path: Path) -> None:
    path = tmp_path / "mhc-scope.db"

    async def work(database: Database) -> None:
        await add_run(database, "r", frames=1000, size=2000)
        before = path.stat().st_size
        await drop_unused(database, time.time(), 0.0, ())
        assert path.stat().st_size == before
        pages = await release_pages(database)
        assert pages * 4096 > 0.9 * before
        assert path.stat().st_size < 0.1 * before
        assert await release_pages(database) == 0

    do(to_url(path), work)
    assert os.stat(path).st_mode & 0o777 == 0o600
