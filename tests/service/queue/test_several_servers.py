"""Several servers on one PostgreSQL: one queue, one log a run, whoever computes it and whoever watches."""

import asyncio
import time
from collections.abc import Awaitable, Callable

import psycopg
import pytest

from tests.app.cluster.puppet import Server, check_log, make_spec, play, wait_until
from tests.service.postgresql import PostgreSQL
from tests.service.queue.shared_place import LEASE_S, SharedPlace

pytestmark = pytest.mark.full

# Of the database that is connected to.
WAITING = "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
Act = Callable[[Server, Server], Awaitable[None]]


def play_two(postgresql: PostgreSQL, act: Act, idle: int = 0) -> None:
    """A scene for server A, with one worker, and B, with `idle` workers."""

    async def inside() -> None:
        place = SharedPlace(postgresql.create_database())
        a, b = await Server(place, 1).start(), await Server(place, idle or 1).start()
        if not idle:
            b.engine.workers = 0
        try:
            await act(a, b)
        finally:
            await asyncio.gather(a.stop(), b.stop())

    play(inside())


async def is_told(server: Server, run_id: str) -> bool:
    """Whether the server knows of a viewer elsewhere."""
    return await server.runs._queue.count_watchers(run_id, "nobody") == 1


async def is_cancelled(server: Server, run_id: str) -> bool:
    """Whether a DELETE ends the run."""
    return await server.cancel(run_id) == "cancelled"


def test_a_run_posted_to_one_is_watched_on_the_other(postgresql: PostgreSQL) -> None:
    async def act(a: Server, b: Server) -> None:
        run_id = await b.submit(make_spec(1))
        watching = asyncio.create_task(b.follow(run_id))
        await wait_until(lambda: a.engine.begun == [run_id])
        for _ in range(3):
            await a.engine.step(run_id)
        await a.compute(run_id, 5)
        frames = await asyncio.wait_for(watching, 5)
        check_log(frames, "done")
        assert len(frames) == 6

    play_two(postgresql, act)


def test_frames_wake_viewers_elsewhere_without_polling(postgresql: PostgreSQL) -> None:
    async def act(a: Server, b: Server) -> None:
        run_id = await a.submit(make_spec(1))
        with b.hub.subscribe([run_id], "viewer") as subscription:
            await asyncio.sleep(1.2)  # a poll has passed
            times = []
            for _ in range(5):
                while await subscription.wait(0.05):
                    pass
                begun = time.monotonic()
                await a.engine.step(run_id)
                assert await subscription.wait(5)
                times.append(time.monotonic() - begun)
        assert min(times) < 0.5, times

    play_two(postgresql, act)


def test_the_same_spec_posted_to_both_is_computed_once(postgresql: PostgreSQL) -> None:
    async def act(a: Server, b: Server) -> None:
        specs = [make_spec(seed) for seed in range(5)]
        posted = await asyncio.gather(*(server.submit(spec) for spec in specs for server in (a, b)))
        assert len(set(posted)) == len(specs)

        async def compute_all() -> bool:
            for server in (a, b):
                for run_id in list(server.engine.frames):
                    await server.compute(run_id)
            return [(await a.get(run_id)).status for run_id in posted] == ["done"] * len(posted)

        await wait_until(compute_all)
        assert sorted(a.engine.begun + b.engine.begun) == sorted(set(posted)), "each was begun once"
        for run_id in set(posted):
            check_log(await b.follow(run_id), "done")

    play_two(postgresql, act, idle=1)


def test_places_are_those_of_one_queue(postgresql: PostgreSQL) -> None:
    async def act(a: Server, b: Server) -> None:
        running = await a.submit(make_spec(0))
        waiting = [await (a, b)[seed % 2].submit(make_spec(seed)) for seed in range(1, 5)]
        for server in (a, b):
            await wait_until(lambda server=server: server.runs.position(waiting[-1]) == 4)
            assert [server.runs.position(run_id) for run_id in (running, *waiting)] == [0, 1, 2, 3, 4]
        await b.cancel(waiting[0])
        await wait_until(lambda: a.runs.position(waiting[1]) == 1)

    play_two(postgresql, act)


def test_a_run_is_cancelled_from_the_other_server(postgresql: PostgreSQL) -> None:
    async def act(a: Server, b: Server) -> None:
        run_id = await b.submit(make_spec(1))
        await wait_until(lambda: a.engine.begun == [run_id])
        await a.engine.step(run_id, 2)
        begun = time.monotonic()
        assert await b.cancel(run_id) == "cancelled"
        assert time.monotonic() - begun < 5
        assert not a.engine.frames
        check_log(await b.follow(run_id), "cancelled")
        # It may be asked for again, and begins anew.
        assert await b.submit(make_spec(1)) == run_id
        await wait_until(lambda: a.engine.begun == [run_id] * 2)
        await a.compute(run_id)
        check_log(await b.follow(run_id), "done")

    play_two(postgresql, act)


def test_a_viewer_on_one_spares_a_run_from_a_delete_on_the_other(postgresql: PostgreSQL) -> None:
    async def act(a: Server, b: Server) -> None:
        run_id = await a.submit(make_spec(1))
        watching = asyncio.create_task(a.follow(run_id, "viewer"))
        run = await a.get(run_id)

        await wait_until(lambda: is_told(b, run_id))
        assert (await b.runs.cancel(run, "someone")).watchers == 1
        await a.engine.step(run_id)
        assert (await b.runs.cancel(run, "viewer")).run.status == "cancelled", "viewers do not hold up themselves"
        check_log(await watching, "cancelled")

    play_two(postgresql, act)


def test_watchers_of_a_dead_server_do_not_count(postgresql: PostgreSQL) -> None:
    async def act(a: Server, b: Server) -> None:
        c = await Server(a.place, 1).start()
        c.engine.workers = 0
        run_id = await a.submit(make_spec(1))
        watching = asyncio.create_task(c.follow(run_id))
        await wait_until(lambda: is_told(b, run_id))
        assert await b.cancel(run_id) == "running"
        watching.cancel()
        c.hub.on_watch = None  # it dies without a word
        await c.kill()
        begun = time.monotonic()
        await wait_until(lambda: is_cancelled(b, run_id))
        assert time.monotonic() - begun < LEASE_S + 5

    play_two(postgresql, act)


def test_a_dead_servers_run_is_finished_by_the_other(postgresql: PostgreSQL) -> None:
    async def act(a: Server, b: Server) -> None:
        c = await Server(a.place, 1).start()
        a.engine.workers = 0
        run_id = await c.submit(make_spec(1))
        watching = asyncio.create_task(b.follow(run_id))
        await c.engine.step(run_id, 2)
        await c.kill()
        a.engine.workers = 1
        begun = time.monotonic()
        await wait_until(lambda: a.engine.begun == [run_id])
        assert time.monotonic() - begun < LEASE_S + 5
        await a.compute(run_id, 4)
        check_log(await watching, "done")

    play_two(postgresql, act)


def test_a_server_that_was_silent_too_long_cannot_write_a_frame(postgresql: PostgreSQL) -> None:
    async def act(a: Server, b: Server) -> None:
        run_id = await a.submit(make_spec(1))
        await a.engine.step(run_id, 2)
        beating = a.runs._dispatcher._loops.pop()
        beating.cancel()  # as where its process was stopped for a while
        b.engine.workers = 1
        await wait_until(lambda: b.engine.begun == [run_id])
        await b.engine.step(run_id, 3)
        await a.engine.step(run_id)  # ends its job: the lease is lost
        assert not a.engine.frames
        await b.compute(run_id, 5)
        frames = await b.follow(run_id)
        check_log(frames, "done")
        assert len(frames) == 6
        assert await a.follow(run_id) == frames, "what A held in memory is not shown"

    play_two(postgresql, act)


def test_cut_connections_are_made_anew(postgresql: PostgreSQL) -> None:
    async def act(a: Server, b: Server) -> None:
        run_id = await b.submit(make_spec(1))
        watching = asyncio.create_task(b.follow(run_id))
        await wait_until(lambda: a.engine.begun == [run_id])
        for _ in range(4):
            await asyncio.to_thread(postgresql.cut_connections, a.database.url)
            await a.engine.step(run_id)
        await a.compute(run_id, 6)
        frames = await asyncio.wait_for(watching, 10)
        check_log(frames, "done")
        assert len(frames) == 7

    play_two(postgresql, act)


def test_a_reader_whose_connection_is_cut_reads_again(postgresql: PostgreSQL) -> None:
    """Held by a lock, so that the cut comes in the middle of reading."""

    async def act(a: Server, b: Server) -> None:
        run_id = await a.submit(make_spec(1))
        await a.compute(run_id, 40)
        address = a.database.url.replace("+psycopg", "")
        with psycopg.connect(address) as other, psycopg.connect(address, autocommit=True) as looking:
            other.execute("LOCK TABLE frames IN ACCESS EXCLUSIVE MODE")
            watching = asyncio.create_task(b.follow(run_id))
            for _ in range(2):
                await wait_until(lambda: looking.execute(WAITING).fetchall() != [])
                looking.execute(f"SELECT pg_terminate_backend(pid) FROM ({WAITING}) AS waiting")
        frames = await asyncio.wait_for(watching, 10)
        check_log(frames, "done")
        assert len(frames) == 41

    play_two(postgresql, act)


def test_a_database_that_is_away_for_seconds_loses_nothing(postgresql: PostgreSQL) -> None:
    async def act(a: Server, b: Server) -> None:
        done = await a.submit(make_spec(0))
        await a.compute(done)
        run_id = await b.submit(make_spec(1))
        watching = asyncio.create_task(b.follow(done))
        check_log(await watching, "done")
        await wait_until(lambda: a.engine.begun == [done, run_id])
        await a.engine.step(run_id)
        await asyncio.to_thread(postgresql.stop)
        writing = asyncio.create_task(a.compute(run_id, 4))
        await asyncio.sleep(3)
        assert not writing.done()
        await asyncio.to_thread(postgresql.start)
        await writing

        # Its lease was over meanwhile: who came first may have let it wait again, and then it is computed once more.
        async def is_done() -> bool:
            for server in (a, b):
                for known in list(server.engine.frames):
                    await server.compute(known, 4)
            return (await a.get(run_id)).status == "done"

        await wait_until(is_done)
        for finished in (done, run_id):
            check_log(await b.follow(finished), "done")

    play_two(postgresql, act)


def test_a_clean_stop_hands_over_at_once(postgresql: PostgreSQL) -> None:
    async def act(a: Server, b: Server) -> None:
        c = await Server(SharedPlace(a.place.url, lease_s=60), 1).start()
        a.engine.workers = 0
        run_id = await c.submit(make_spec(1))
        await c.engine.step(run_id, 2)
        a.engine.workers = 1
        begun = time.monotonic()
        await c.stop()
        await wait_until(lambda: a.engine.begun == [run_id])
        assert time.monotonic() - begun < 10
        await a.compute(run_id, 3)
        assert (await a.get(run_id)).attempts == 1
        check_log(await b.follow(run_id), "done")

    play_two(postgresql, act)
