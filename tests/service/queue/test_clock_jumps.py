"""Leases while the clock of the database jumps: those of servers that live are kept, those of dead ones end."""

import asyncio
import time
from collections.abc import Awaitable, Callable

import pytest

from mhc_service.queue.lease_watch import LeaseWatch
from mhc_service.queue.leases import to_lease_duration_s
from tests.app.cluster.puppet import Server, check_log, make_spec, play, wait_until
from tests.endurance.site.clocks import DatabaseClock
from tests.service.postgresql import PostgreSQL
from tests.service.queue.shared_place import LEASE_S, SharedPlace

pytestmark = pytest.mark.full

HOUR_S = 3600
Act = Callable[[Server, Server, DatabaseClock], Awaitable[None]]


def play_two(postgresql: PostgreSQL, act: Act) -> None:
    """A scene for servers A, with a worker, and B, without."""

    async def inside() -> None:
        url = postgresql.create_database()
        clock = DatabaseClock(url)
        place = SharedPlace(url)
        a, b = await Server(place, 1).start(), await Server(place, 1).start()
        b.engine.workers = 0
        try:
            await act(a, b, clock)
        finally:
            await asyncio.gather(a.stop(), b.stop())

    play(inside())


@pytest.mark.parametrize("ahead_s", [HOUR_S, -HOUR_S])
def test_a_jump_takes_no_run_from_a_server_that_lives(postgresql: PostgreSQL, ahead_s: int) -> None:
    async def act(a: Server, b: Server, clock: DatabaseClock) -> None:
        run_id = await a.submit(make_spec(1))
        await a.engine.step(run_id, 2)
        # B's heartbeat comes first after the jump: that is what can go wrong.
        a.store.queue.check_s = 0.9 * to_lease_duration_s(LEASE_S)
        await asyncio.to_thread(clock.set, ahead_s)
        await b.runs._dispatcher.check()
        await asyncio.sleep(2 * LEASE_S)
        await a.compute(run_id, 4)
        check_log(await b.follow(run_id), "done")
        assert (await a.get(run_id)).attempts == 1
        assert a.engine.begun == [run_id]

    play_two(postgresql, act)


@pytest.mark.parametrize("ahead_s", [HOUR_S, -HOUR_S])
def test_a_jump_holds_no_run_of_a_server_that_died(postgresql: PostgreSQL, ahead_s: int) -> None:
    async def act(a: Server, b: Server, clock: DatabaseClock) -> None:
        c = await Server(a.place, 1).start()
        a.engine.workers = 0
        run_id = await c.submit(make_spec(1))
        await c.engine.step(run_id, 2)
        watching = asyncio.create_task(c.follow(run_id))
        await wait_until(lambda: has_watchers(b, run_id, 1))
        watching.cancel()
        c.hub.on_watch = None
        await c.kill()
        await asyncio.to_thread(clock.set, ahead_s)
        a.engine.workers = 1
        begun = time.monotonic()
        await wait_until(lambda: a.engine.begun == [run_id])
        assert time.monotonic() - begun < LEASE_S + 5
        await wait_until(lambda: has_watchers(b, run_id, 0))
        await a.compute(run_id, 4)
        check_log(await b.follow(run_id), "done")

    play_two(postgresql, act)


async def has_watchers(server: Server, run_id: str, count: int) -> bool:
    return await server.runs._queue.count_watchers(run_id, "nobody") == count


def test_a_lease_from_before_the_clock_was_set_back_is_not_waited_for_so_long() -> None:
    watch = LeaseWatch[str](0.05)
    deadline = time.monotonic() + 20
    while not watch.find({"long ago": 1e9}, now=0.0):
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_lease_that_is_renewed_is_never_lost() -> None:
    watch = LeaseWatch[str](0.05)
    found = []
    for turn in range(10):
        found += watch.find({"renewed": float(turn), "not renewed": 0.0}, now=1e9)
        time.sleep(0.01)
    assert set(found) <= {"not renewed"}
    time.sleep(0.05)
    assert watch.find({"not renewed": 0.0}, now=1e9) == ["not renewed"]
    assert watch.find({}, now=1e9) == []
    assert watch.find({"not renewed": 0.0}, now=1e9) == [], "it came back"
