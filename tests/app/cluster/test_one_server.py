"""The queue of one server: fair, retried once, patient with its database."""

import asyncio
import sqlite3
from pathlib import Path

import pytest

from mhc_scope import limits
from mhc_scope.api.stream import Feed
from mhc_scope.services.identity import SERVER, ClientIdentity
from tests.app.cluster.puppet import Server, check_log, make_spec, play, start_local, wait_until
from tests.app.store.place import Place

pytestmark = pytest.mark.full


def test_a_single_run_waits_for_one_cell_of_anothers_sweep_at_most(place: Place) -> None:
    async def act() -> None:
        server = await Server(place).start()
        cells = [await server.submit(make_spec(seed), "sweeper") for seed in range(20)]
        single = await server.submit(make_spec(100), "light")
        assert server.runs.position(single) == 1, "next, whoever came first"
        assert [server.runs.position(cell) for cell in cells[:3]] == [0, 2, 3]
        await server.compute(cells[0])
        await wait_until(lambda: len(server.engine.begun) == 2)
        assert server.engine.begun == [cells[0], single]
        await server.stop()

    play(act())


def test_clients_and_their_use_outlive_a_restart(place: Place) -> None:
    async def act() -> None:
        server = await Server(place).start()
        first, second = [await server.submit(make_spec(seed), "heavy") for seed in range(2)]
        await server.engine.step(first)
        server.runs._dispatcher.reports.claimed[first].begun_s -= 50.0  # type: ignore[operator]
        await server.compute(first)
        await server.kill()
        server = await Server(place).start()
        await wait_until(lambda: server.engine.begun == [second])
        third, fourth = await server.submit(make_spec(3), "heavy"), await server.submit(make_spec(4), "light")
        assert [server.runs.position(run_id) for run_id in (second, third, fourth)] == [0, 2, 1]
        assert (await server.get(third)).client == "heavy"
        await server.stop()

    play(act())


def test_a_crash_is_tried_once_more_with_the_frames_that_are_there(place: Place) -> None:
    async def act() -> None:
        server = await Server(place).start()
        run_id = await server.submit(make_spec(1))
        watching = asyncio.create_task(server.follow(run_id))
        await server.engine.step(run_id, 2)
        await server.engine.crash(run_id)
        await wait_until(lambda: server.engine.begun == [run_id] * 2)
        await server.compute(run_id, 5)
        frames = await watching
        check_log(frames, "done")
        assert len(frames) == 6
        await server.stop()

    play(act())


def test_a_second_crash_fails_it_with_the_reason(place: Place) -> None:
    async def act() -> None:
        server = await Server(place).start()
        run_id = await server.submit(make_spec(1))
        for attempt in (1, 2):
            await wait_until(lambda attempt=attempt: len(server.engine.begun) == attempt)
            await server.engine.step(run_id)
            await server.engine.crash(run_id)
        run = await server.get(run_id)
        assert (run.status, run.reason) == ("failed", "the worker process was killed")
        check_log(await server.follow(run_id), "failed")
        await server.stop()

    play(act())


def test_frames_that_differ_when_it_is_tried_again_fail_it(place: Place) -> None:
    async def act() -> None:
        server = await Server(place).start()
        run_id = await server.submit(make_spec(1))
        await server.engine.step(run_id, 2)
        await server.engine.crash(run_id)
        await wait_until(lambda: server.engine.begun == [run_id] * 2)
        reports = server.runs._dispatcher.reports
        await reports.on_start(run_id)
        line = b'{"run":"%s","index":0,"type":"layer"}\n' % run_id.encode()
        try:
            await reports.on_lines(run_id, 0, [line])
        except Exception as error:
            await server.engine.end(run_id, "failed", str(error))
        run = await server.get(run_id)
        assert run.reason == "the second computation gave other frames than those stored"
        check_log(await server.follow(run_id), "failed")
        await server.stop()

    play(act())


def test_a_row_under_way_without_a_job_is_found(place: Place) -> None:
    async def act() -> None:
        server = await Server(place).start()
        run_id = await server.submit(make_spec(1))
        server.engine.frames.clear()  # as if the engine had lost it without a word
        del server.runs._dispatcher.reports.claimed[run_id]
        await wait_until(lambda: server.engine.begun == [run_id] * 2)
        await server.compute(run_id)
        check_log(await server.follow(run_id), "done")
        await server.stop()

    play(act())


def test_a_database_locked_for_a_while_loses_nothing(tmp_path: Path) -> None:
    async def act() -> None:
        server = await start_local(tmp_path)
        run_id = await server.submit(make_spec(1))
        watching = asyncio.create_task(server.follow(run_id))
        await server.engine.step(run_id)
        other = sqlite3.connect(tmp_path / "test.db", isolation_level=None)
        other.execute("BEGIN EXCLUSIVE")
        writing = asyncio.create_task(server.compute(run_id, 4))
        await asyncio.sleep(7)  # longer than SQLite's own patience, which is 5 s
        assert not writing.done()
        other.execute("COMMIT")
        other.close()
        await writing
        check_log(await watching, "done")
        await server.stop()

    play(act())


def test_an_end_that_cannot_be_stored_is_stored_later(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "STORE_WAIT_S", 0.1)

    async def act() -> None:
        server = await start_local(tmp_path)
        run_id = await server.submit(make_spec(1))
        watching = asyncio.create_task(server.follow(run_id))
        await server.engine.step(run_id)
        other = sqlite3.connect(tmp_path / "test.db", isolation_level=None)
        other.execute("BEGIN EXCLUSIVE")
        await server.engine.end(run_id, "done")  # its patience is at an end, and it goes on
        assert server.engine.running == 0
        other.execute("COMMIT")
        other.close()
        check_log(await watching, "done")
        assert (await server.get(run_id)).status == "done"
        await server.stop()

    play(act())


def test_a_run_whose_frames_cannot_be_stored_fails_with_the_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "STORE_WAIT_S", 0.1)

    async def act() -> None:
        server = await start_local(tmp_path)
        run_id = await server.submit(make_spec(1))
        other = sqlite3.connect(tmp_path / "test.db", isolation_level=None)
        other.execute("BEGIN EXCLUSIVE")
        await server.engine.step(run_id)
        assert server.engine.running == 0
        other.execute("COMMIT")
        other.close()
        check_log(await server.follow(run_id), "failed")
        assert (await server.get(run_id)).reason == "the database cannot be used now: database is locked"
        await server.stop()

    play(act())


def test_a_delete_that_meets_the_loss_of_the_worker_is_obeyed(tmp_path: Path) -> None:
    async def act() -> None:
        server = await start_local(tmp_path)
        run_id = await server.submit(make_spec(1))
        await server.engine.step(run_id, 2)
        server.engine.cancel = server.engine.crash  # type: ignore[method-assign]  # killed as it is told to stop
        assert await server.cancel(run_id) == "cancelled"
        check_log(await server.follow(run_id), "cancelled")
        await server.stop()

    play(act())


def test_a_stream_that_cannot_be_read_says_so_and_may_be_taken_up_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "LOG_CACHE_BYTES", 1)

    async def act() -> None:
        server = await start_local(tmp_path)
        run_id = await server.submit(make_spec(1))
        await server.compute(run_id)
        feed = Feed(server.runs, 0.5, {run_id: 0}, "sse")
        other = sqlite3.connect(tmp_path / "test.db", isolation_level=None)
        other.execute("BEGIN EXCLUSIVE")
        with server.hub.subscribe([run_id], "viewer") as subscription:
            text = b"".join([chunk async for chunk in feed.follow(subscription)])
        other.execute("COMMIT")
        other.close()
        assert text.endswith(
            b'event: closing\ndata: {"reason":"the database cannot be used now: database is locked"}\n\n'
        )
        check_log(await server.follow(run_id), "done")
        assert server.hub.list_watched_runs() == []
        await server.stop()

    play(act())


def test_bases_of_stored_runs_are_prepared_when_a_client_opens_them(tmp_path: Path) -> None:
    """A run that is computed now needs no preparation, and the server itself edits nothing."""

    async def scene() -> None:
        server = await start_local(tmp_path)
        stored, new = make_spec(1), make_spec(2)
        run_id = await server.submit(stored)
        await server.compute(run_id)
        await server.runs.submit([stored, new], SERVER)
        await server.runs.submit([stored, new], ClientIdentity("me", "me"))
        assert server.engine.prepared == [[run_id]]
        await server.stop()

    play(scene())
