"""Leases in the database: a server that lost one writes nothing, and no run stays under way without a server."""

from collections.abc import Awaitable, Callable

import pytest
from sqlalchemy import update

from mhc_core.record import codec
from mhc_core.record.source import SpecSource
from mhc_scope.store.database import Database
from mhc_scope.store.queue.lease_watch import MIN_DURATIONS
from mhc_scope.store.queue.leases import (
    MAX_SERVER_LOSSES,
    Lease,
    LeaseLost,
    TornLog,
    to_heartbeat_s,
    to_lease_duration_s,
)
from mhc_scope.store.queue.queue import Queue
from mhc_scope.store.queue.reconcile import RENEW_AT
from mhc_scope.store.queue.usage import charge, read_used
from mhc_scope.store.runs import NewJob, RunStore
from mhc_scope.store.tables import runs
from tests.app.store.queue import scenes

LINES = [b'{"run":"r","index":%d,"type":"forward"}\n' % index for index in range(9)]
LEASE_S = 10.0


class Scene:
    """A database, its queue as this server sees it, and a run `r` that waits."""

    def __init__(self, url: str) -> None:
        self.database = Database(url)
        self.store, self.queue = RunStore(self.database), Queue(self.database, LEASE_S)

    async def put(self, *ids: str, client: str = "", seconds: float = 1.0) -> None:
        for run_id in ids:
            job = NewJob("run", SpecSource(spec={}), {"seconds": seconds}, client=client, address="here")
            await self.store.put_queued({run_id: job})

    async def claim(self, free: int = 1) -> list[Lease]:
        turn = await self.queue.take_turn({}, free)
        return [Lease(run.id, self.database.server, run.fence) for run in turn.claimed]

    async def let_another_claim(self, run_id: str) -> None:
        """As another server does once the lease is over."""
        values = {"server": "other", "fence": runs.c.fence + 1}
        await self.set(run_id, **values)

    async def set(self, run_id: str, **values: object) -> None:
        await self.database.call(lambda c: c.execute(update(runs).where(runs.c.id == run_id).values(values)))

    async def status(self, run_id: str) -> tuple[str, int, str | None]:
        run = await self.store.get(run_id)
        assert run is not None
        return run.status, run.frames, run.reason


Act = Callable[[Scene], Awaitable[None]]


def play(url: str, act: Callable[[Scene], Awaitable[None]]) -> None:
    """Do `act` on a new scene."""
    scenes.play(lambda: Scene(url), act)


def test_a_claim_gives_a_lease_and_counts_an_attempt(database_url: str) -> None:
    async def act(scene: Scene) -> None:
        await scene.put("r")
        (lease,) = await scene.claim(5)
        run = await scene.store.get("r")
        assert run is not None
        assert (run.status, run.server, run.fence, run.attempts) == ("running", lease.server, lease.fence, 1)
        assert run.leased_until is not None
        assert run.started_at is not None
        assert abs(run.leased_until - run.started_at - to_lease_duration_s(LEASE_S)) < 1e-3
        assert await scene.claim(5) == [], "a run is claimed once"

    play(database_url, act)


@pytest.mark.parametrize("lease_s", [0.1, 1.0, 2.0, 8.0, 10.0, 60.0, 3600.0])
def test_a_lease_is_renewed_before_it_is_taken_for_lost_and_taken_over_in_time(lease_s: float) -> None:
    beat_s, duration_s = to_heartbeat_s(lease_s), to_lease_duration_s(lease_s)
    assert (1 - RENEW_AT) * duration_s + beat_s <= MIN_DURATIONS * duration_s + 1e-9, "also where a clock was set ahead"
    assert duration_s + 2 * beat_s <= lease_s + 1e-9, "seen with one heartbeat of the others, claimed by the next"


def test_frames_and_ends_of_a_lost_lease_are_refused(database_url: str) -> None:
    async def act(scene: Scene) -> None:
        await scene.put("r")
        (lease,) = await scene.claim()
        await scene.store.append("r", 0, LINES[:2], lease)
        await scene.let_another_claim("r")
        with pytest.raises(LeaseLost):
            await scene.store.append("r", 2, LINES[2:3], lease)
        with pytest.raises(LeaseLost):
            await scene.store.finish("r", 2, "done", None, lease)
        with pytest.raises(LeaseLost):
            await scene.queue.requeue(lease, "", 1.0)
        assert await scene.status("r") == ("running", 2, None)
        assert await scene.store.read("r", -1, 10) == LINES[:2]

    play(database_url, act)


def test_the_same_server_with_an_older_lease_is_refused_as_well(database_url: str) -> None:
    async def act(scene: Scene) -> None:
        await scene.put("r")
        (old,) = await scene.claim()
        await scene.queue.requeue(old, "", 0.0)
        (new,) = await scene.claim()
        assert new.fence > old.fence
        with pytest.raises(LeaseLost):
            await scene.store.append("r", 0, LINES[:1], old)
        await scene.store.append("r", 0, LINES[:1], new)

    play(database_url, act)


def test_nothing_is_written_behind_an_end(database_url: str) -> None:
    async def act(scene: Scene) -> None:
        await scene.put("r")
        (lease,) = await scene.claim()
        end = await scene.store.finish("r", 0, "done", None, lease)
        assert await scene.store.finish("r", 0, "done", None, lease) == end, "asked again after a cut"
        with pytest.raises(LeaseLost):
            await scene.store.append("r", 1, LINES[1:2], lease)
        assert await scene.store.read("r", -1, 10) == [end]

    play(database_url, act)


def test_frames_that_come_again_are_stored_once_and_must_be_the_same(database_url: str) -> None:
    async def act(scene: Scene) -> None:
        await scene.put("r")
        (lease,) = await scene.claim()
        await scene.store.append("r", 0, LINES[:3], lease)
        await scene.store.append("r", 0, LINES[:2], lease)
        await scene.store.append("r", 2, LINES[2:5], lease)
        assert await scene.store.read("r", -1, 10) == LINES[:5]
        with pytest.raises(TornLog):
            await scene.store.append("r", 3, [LINES[3], b'{"run":"r","index":4,"type":"other"}\n'], lease)
        assert await scene.store.read("r", -1, 10) == LINES[:5]
        end = await scene.store.finish("r", 2, "failed", "why", lease)
        assert codec.decode_line(end) == codec.decode_line(codec.encode_end("r", 5, "failed", "why"))

    play(database_url, act)


def test_held_runs_are_renewed_and_forgotten_ones_freed(database_url: str) -> None:
    async def act(scene: Scene) -> None:
        await scene.put("r", "s")
        held, forgotten = await scene.claim(2)
        await scene.set("r", leased_until=1.0)
        heartbeat = await scene.queue.heartbeat([(held.run_id, held.fence)])
        assert (heartbeat.gone, heartbeat.to_cancel, heartbeat.freed) == ([], [], [forgotten.run_id])
        run = await scene.store.get("r")
        assert run is not None
        assert run.leased_until is not None
        assert run.leased_until > 1.0
        assert (await scene.status("s"))[0] == "queued"

    play(database_url, act)


def test_the_loss_of_a_server_counts_as_no_attempt(database_url: str) -> None:
    async def act(scene: Scene) -> None:
        await scene.put("r")
        (lease,) = await scene.claim()
        await scene.store.append("r", 0, LINES[:2], lease)
        for losses in range(1, MAX_SERVER_LOSSES):
            assert (await scene.queue.heartbeat([])).freed == ["r"]
            assert await scene.status("r") == ("queued", 2, None)
            await scene.claim()
            run = await scene.store.get("r")
            assert run is not None
            assert (run.attempts, run.server_losses) == (1, losses)

    play(database_url, act)


def test_a_run_that_loses_server_after_server_fails(database_url: str) -> None:
    async def act(scene: Scene) -> None:
        await scene.put("r")
        for _ in range(MAX_SERVER_LOSSES):
            await scene.claim()
            assert (await scene.queue.heartbeat([])).freed == ["r"]
        reason = f"the server that computed it was lost {MAX_SERVER_LOSSES} times"
        assert await scene.status("r") == ("failed", 1, reason)
        assert codec.frame_type((await scene.store.read("r", -1, 5))[0]) == "end"
        assert (await scene.queue.heartbeat([])).freed == []
        await scene.put("r")
        run = await scene.store.get("r")
        assert run is not None
        assert (run.status, run.server_losses) == ("queued", 0), "requested again, it starts from zero"

    play(database_url, act)


def test_the_loss_of_a_worker_is_counted_whatever_servers_were_lost(database_url: str) -> None:
    async def act(scene: Scene) -> None:
        await scene.put("r")
        await scene.claim()
        await scene.queue.heartbeat([])
        (lease,) = await scene.claim()
        assert await scene.queue.requeue(lease, "", 0.0)
        await scene.claim()
        run = await scene.store.get("r")
        assert run is not None
        assert (run.attempts, run.server_losses) == (2, 1)

    play(database_url, act)


def test_a_run_that_shall_be_cancelled_ends_so_when_its_worker_is_lost(database_url: str) -> None:
    async def act(scene: Scene) -> None:
        await scene.put("r")
        (lease,) = await scene.claim()
        assert await scene.queue.request_cancel("r") == "stops"
        assert not await scene.queue.requeue(lease, "", 0.0)
        assert (await scene.status("r"))[0] == "cancelled"

    play(database_url, act)


def test_a_run_that_shall_be_cancelled_ends_so_when_its_server_stops(database_url: str) -> None:
    async def act(scene: Scene) -> None:
        await scene.put("r")
        await scene.claim()
        assert await scene.queue.request_cancel("r") == "stops"
        await scene.queue.leave()
        assert (await scene.status("r"))[0] == "cancelled"

    play(database_url, act)


def test_a_run_that_shall_be_cancelled_ends_so_when_its_server_is_lost(database_url: str) -> None:
    async def act(scene: Scene) -> None:
        await scene.put("r")
        (lease,) = await scene.claim()
        assert await scene.queue.request_cancel("r") == "stops"
        assert (await scene.queue.heartbeat([("r", lease.fence)])).to_cancel == ["r"]
        assert (await scene.queue.heartbeat([])).freed == ["r"]
        assert (await scene.status("r"))[0] == "cancelled"
        assert await scene.queue.request_cancel("r") == "over"

    play(database_url, act)


def test_a_run_that_waits_is_cancelled_in_the_database(database_url: str) -> None:
    async def act(scene: Scene) -> None:
        await scene.put("r")
        assert await scene.queue.request_cancel("r") == "stops"
        assert await scene.status("r") == ("cancelled", 1, None)
        await scene.put("r")
        assert await scene.status("r") == ("queued", 0, None)

    play(database_url, act)


def test_a_clean_stop_gives_runs_back_without_counting_the_attempt(database_url: str) -> None:
    async def act(scene: Scene) -> None:
        await scene.queue.join()
        await scene.put("r")
        for _ in range(5):
            (lease,) = await scene.claim()
            await scene.queue.leave()
            with pytest.raises(LeaseLost):
                await scene.store.append("r", 0, LINES[:1], lease)
        assert (await scene.status("r"))[0] == "queued"

    play(database_url, act)


def test_what_runs_took_is_charged_to_their_client_and_decides_who_is_next(database_url: str) -> None:
    async def act(scene: Scene) -> None:
        await scene.put("a", "b", client="heavy")
        (lease,) = await scene.claim()
        await scene.store.finish("a", 0, "done", None, lease, seconds=40.0)
        await scene.put("c", client="light")
        await scene.put("d")
        board = (await scene.queue.take_turn({}, 0)).board
        assert board.waiting == ("c", "d", "b")
        assert board.of_client == {"heavy": 1, "light": 1, "": 1}
        used = await scene.database.call(lambda connection: read_used(connection, run_time))
        assert used == {"heavy": pytest.approx(40.0, rel=1e-3)}
        costs = await scene.store.list_live_costs()
        assert [(cost.client, cost.address, cost.seconds) for cost in costs] == [
            ("heavy", "here", 1.0),
            ("light", "here", 1.0),
            ("", "here", 1.0),
        ]

    run_time = 0.0  # before it was charged: nothing has decayed
    play(database_url, act)


def test_use_adds_up_and_the_servers_own_is_not_counted(database_url: str) -> None:
    async def act(scene: Scene) -> None:
        def work(connection: object) -> None:
            for client, seconds, now in (("a", 8.0, 0.0), ("a", 1.0, 600.0), ("", 5.0, 600.0)):
                charge(connection, client, seconds, now)  # type: ignore[arg-type]

        await scene.database.call(work)
        assert await scene.database.call(lambda c: read_used(c, 600.0)) == {"a": 5.0}

    play(database_url, act)


def test_a_reason_with_a_nul_character_is_stored(database_url: str) -> None:
    async def act(scene: Scene) -> None:
        await scene.put("r")
        (lease,) = await scene.claim()
        await scene.store.finish("r", 0, "failed", "got 'a\0b'", lease)
        assert await scene.status("r") == ("failed", 1, "got 'a\\0b'")

    play(database_url, act)


def test_a_run_that_another_client_has_just_asked_for_goes_on_unless_an_operator_stops_it(database_url: str) -> None:
    async def act(scene: Scene) -> None:
        await scene.put("r")
        assert await scene.queue.want("r")
        assert await scene.queue.request_cancel("r") == "wanted"
        await scene.claim()
        assert await scene.queue.request_cancel("r") == "wanted"
        assert await scene.queue.request_cancel("r", is_forced=True) == "stops"
        assert not await scene.queue.want("r")

    play(database_url, act)
