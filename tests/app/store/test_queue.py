"""What every queue must do: who has no claim writes nothing, and no run stays running that nobody computes."""

from collections.abc import Awaitable, Callable

import pytest
from sqlalchemy import update

from mhc_core.record import codec
from mhc_core.record.source import SpecSource
from mhc_scope.store.claims import MAX_SERVER_LOSSES, ClaimLost, RunClaim, TornLog
from mhc_scope.store.live_traces import LiveTraceStore
from mhc_scope.store.notifications import Hub
from mhc_scope.store.runs import NewJob
from mhc_scope.store.tables import runs
from mhc_scope.store.usage import charge, read_used
from tests.app.store import queue_scenes
from tests.app.store.place import Place, QuietMember
from tests.records import TRACE

LINES = [b'{"run":"r","index":%d,"type":"forward"}\n' % index for index in range(9)]


class Scene:
    """A database and its queue as a server sees it."""

    def __init__(self, place: Place) -> None:
        self.database = place.open()
        store = place.build_store(self.database, Hub())
        self.store, self.queue = store.runs, store.queue

    async def put(self, *ids: str, client: str = "", seconds: float = 1.0) -> None:
        for run_id in ids:
            job = NewJob("run", SpecSource(spec={}), {"seconds": seconds}, client=client, address="here")
            await self.store.put_queued({run_id: job})

    async def claim(self, free: int = 1) -> list[RunClaim]:
        turn = await self.queue.take_turn({}, free)
        return [RunClaim(run.id, run.fence) for run in turn.claimed]

    async def let_another_claim(self, run_id: str) -> None:
        """Claim it again, as a server does that takes it over."""
        await self.set(run_id, fence=runs.c.fence + 1)

    async def set(self, run_id: str, **values: object) -> None:
        await self.database.call(lambda c: c.execute(update(runs).where(runs.c.id == run_id).values(values)))

    async def status(self, run_id: str) -> tuple[str, int, str | None]:
        run = await self.store.get(run_id)
        assert run is not None
        return run.status, run.frames, run.reason


Act = Callable[[Scene], Awaitable[None]]


def play(place: Place, act: Callable[[Scene], Awaitable[None]]) -> None:
    """Do `act` on a new scene."""
    queue_scenes.play(lambda: Scene(place), act)


def test_a_claim_counts_an_attempt(place: Place) -> None:
    async def act(scene: Scene) -> None:
        await scene.put("r")
        (claim,) = await scene.claim(5)
        run = await scene.store.get("r")
        assert run is not None
        assert (run.status, run.fence, run.attempts) == ("running", claim.fence, 1)
        assert run.started_at is not None
        assert await scene.claim(5) == [], "a run is claimed once"

    play(place, act)


def test_frames_and_ends_of_a_lost_claim_are_refused(place: Place) -> None:
    async def act(scene: Scene) -> None:
        await scene.put("r")
        (claim,) = await scene.claim()
        await scene.store.append("r", 0, LINES[:2], claim)
        await scene.let_another_claim("r")
        with pytest.raises(ClaimLost):
            await scene.store.append("r", 2, LINES[2:3], claim)
        with pytest.raises(ClaimLost):
            await scene.store.finish("r", 2, "done", None, claim)
        with pytest.raises(ClaimLost):
            await scene.queue.requeue(claim, "", 1.0)
        assert await scene.status("r") == ("running", 2, None)
        assert await scene.store.read("r", -1, 10) == LINES[:2]

    play(place, act)


def test_an_older_claim_of_the_same_server_is_refused_as_well(place: Place) -> None:
    async def act(scene: Scene) -> None:
        await scene.put("r")
        (old,) = await scene.claim()
        await scene.queue.requeue(old, "", 0.0)
        (new,) = await scene.claim()
        assert new.fence > old.fence
        with pytest.raises(ClaimLost):
            await scene.store.append("r", 0, LINES[:1], old)
        await scene.store.append("r", 0, LINES[:1], new)

    play(place, act)


def test_nothing_is_written_behind_an_end(place: Place) -> None:
    async def act(scene: Scene) -> None:
        await scene.put("r")
        (claim,) = await scene.claim()
        end = await scene.store.finish("r", 0, "done", None, claim)
        assert await scene.store.finish("r", 0, "done", None, claim) == end, "asked again after a cut"
        with pytest.raises(ClaimLost):
            await scene.store.append("r", 1, LINES[1:2], claim)
        assert await scene.store.read("r", -1, 10) == [end]

    play(place, act)


def test_the_last_frames_are_stored_with_the_end(place: Place) -> None:
    async def act(scene: Scene) -> None:
        await scene.put("r")
        (claim,) = await scene.claim()
        await scene.store.append("r", 0, LINES[:3], claim)
        with pytest.raises(TornLog):
            await scene.store.finish("r", 2, "done", None, claim, lines=LINES[3:5])
        assert await scene.status("r") == ("running", 3, None)
        end = await scene.store.finish("r", 2, "done", None, claim, lines=LINES[2:5])
        assert await scene.store.finish("r", 2, "done", None, claim, lines=LINES[2:5]) == end, "asked again"
        assert await scene.store.read("r", -1, 10) == [*LINES[:5], end]
        assert codec.decode_line(end) == codec.decode_line(codec.encode_end("r", 5, "done", None))

    play(place, act)


def test_frames_that_come_again_are_stored_once_and_must_be_the_same(place: Place) -> None:
    async def act(scene: Scene) -> None:
        await scene.put("r")
        (claim,) = await scene.claim()
        await scene.store.append("r", 0, LINES[:3], claim)
        await scene.store.append("r", 0, LINES[:2], claim)
        await scene.store.append("r", 2, LINES[2:5], claim)
        assert await scene.store.read("r", -1, 10) == LINES[:5]
        with pytest.raises(TornLog):
            await scene.store.append("r", 3, [LINES[3], b'{"run":"r","index":4,"type":"other"}\n'], claim)
        assert await scene.store.read("r", -1, 10) == LINES[:5]
        end = await scene.store.finish("r", 2, "failed", "why", claim)
        assert codec.decode_line(end) == codec.decode_line(codec.encode_end("r", 5, "failed", "why"))

    play(place, act)


def test_claimed_runs_continue_and_forgotten_ones_are_freed(place: Place) -> None:
    async def act(scene: Scene) -> None:
        await scene.put("r", "s")
        claim, forgotten = await scene.claim(2)
        found = await scene.queue.check([claim])
        assert (found.gone, found.to_cancel, found.freed) == ([], [], [forgotten.run_id])
        assert [(await scene.status(name))[0] for name in ("r", "s")] == ["running", "queued"]

    play(place, act)


def test_a_claim_of_a_run_that_was_claimed_again_is_gone(place: Place) -> None:
    async def act(scene: Scene) -> None:
        await scene.put("r")
        (old,) = await scene.claim()
        assert await scene.queue.requeue(old, "", 0.0)
        (new,) = await scene.claim()
        found = await scene.queue.check([old])
        assert found.gone == ["r"]
        with pytest.raises(ClaimLost):
            await scene.store.append("r", 0, LINES[:1], new)

    play(place, act)


def test_a_live_trace_is_neither_freed_nor_cancelled(place: Place) -> None:
    async def act(scene: Scene) -> None:
        await LiveTraceStore(scene.database).open("l", TRACE, "secret")
        assert (await scene.queue.check([])).freed == []
        assert await scene.queue.request_cancel("l", is_forced=True) == "over"
        await scene.queue.leave()
        assert (await scene.status("l"))[0] == "running"
        assert await scene.queue.count_stuck(-1e9) == 0

    play(place, act)


def test_the_loss_of_a_server_counts_as_no_attempt(place: Place) -> None:
    async def act(scene: Scene) -> None:
        await scene.put("r")
        (claim,) = await scene.claim()
        await scene.store.append("r", 0, LINES[:2], claim)
        for losses in range(1, MAX_SERVER_LOSSES):
            assert (await scene.queue.check([])).freed == ["r"]
            assert await scene.status("r") == ("queued", 2, None)
            await scene.claim()
            run = await scene.store.get("r")
            assert run is not None
            assert (run.attempts, run.server_losses) == (1, losses)

    play(place, act)


def test_a_run_that_loses_server_after_server_fails(place: Place) -> None:
    async def act(scene: Scene) -> None:
        await scene.put("r")
        for _ in range(MAX_SERVER_LOSSES):
            await scene.claim()
            assert (await scene.queue.check([])).freed == ["r"]
        reason = f"the server that computed it was lost {MAX_SERVER_LOSSES} times"
        assert await scene.status("r") == ("failed", 1, reason)
        assert codec.frame_type((await scene.store.read("r", -1, 5))[0]) == "end"
        assert (await scene.queue.check([])).freed == []
        await scene.put("r")
        run = await scene.store.get("r")
        assert run is not None
        assert (run.status, run.server_losses) == ("queued", 0), "requested again, it starts from zero"

    play(place, act)


def test_the_loss_of_a_worker_is_counted_whatever_servers_were_lost(place: Place) -> None:
    async def act(scene: Scene) -> None:
        await scene.put("r")
        await scene.claim()
        await scene.queue.check([])
        (claim,) = await scene.claim()
        assert await scene.queue.requeue(claim, "", 0.0)
        await scene.claim()
        run = await scene.store.get("r")
        assert run is not None
        assert (run.attempts, run.server_losses) == (2, 1)

    play(place, act)


def test_a_run_that_shall_be_cancelled_ends_so_when_its_worker_is_lost(place: Place) -> None:
    async def act(scene: Scene) -> None:
        await scene.put("r")
        (claim,) = await scene.claim()
        assert await scene.queue.request_cancel("r") == "stops"
        assert not await scene.queue.requeue(claim, "", 0.0)
        assert (await scene.status("r"))[0] == "cancelled"

    play(place, act)


def test_a_run_that_shall_be_cancelled_ends_so_when_its_server_stops(place: Place) -> None:
    async def act(scene: Scene) -> None:
        await scene.put("r")
        await scene.claim()
        assert await scene.queue.request_cancel("r") == "stops"
        await scene.queue.leave()
        assert (await scene.status("r"))[0] == "cancelled"

    play(place, act)


def test_a_run_that_shall_be_cancelled_ends_so_when_its_server_is_lost(place: Place) -> None:
    async def act(scene: Scene) -> None:
        await scene.put("r")
        (claim,) = await scene.claim()
        assert await scene.queue.request_cancel("r") == "stops"
        assert (await scene.queue.check([claim])).to_cancel == ["r"]
        assert (await scene.queue.check([])).freed == ["r"]
        assert (await scene.status("r"))[0] == "cancelled"
        assert await scene.queue.request_cancel("r") == "over"

    play(place, act)


def test_a_run_that_waits_is_cancelled_in_the_database(place: Place) -> None:
    async def act(scene: Scene) -> None:
        await scene.put("r")
        assert await scene.queue.request_cancel("r") == "stops"
        assert await scene.status("r") == ("cancelled", 1, None)
        await scene.put("r")
        assert await scene.status("r") == ("queued", 0, None)

    play(place, act)


def test_a_clean_stop_gives_runs_back_without_counting_the_attempt(place: Place) -> None:
    async def act(scene: Scene) -> None:
        await scene.queue.join(QuietMember())
        await scene.put("r")
        for _ in range(5):
            (claim,) = await scene.claim()
            await scene.queue.leave()
            with pytest.raises(ClaimLost):
                await scene.store.append("r", 0, LINES[:1], claim)
        assert (await scene.status("r"))[0] == "queued"

    play(place, act)


def test_what_runs_took_is_charged_to_their_client_and_decides_who_is_next(place: Place) -> None:
    async def act(scene: Scene) -> None:
        await scene.put("a", "b", client="heavy")
        (claim,) = await scene.claim()
        await scene.store.finish("a", 0, "done", None, claim, seconds=40.0)
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
    play(place, act)


def test_use_adds_up_and_the_servers_own_is_not_counted(place: Place) -> None:
    async def act(scene: Scene) -> None:
        def work(connection: object) -> None:
            for client, seconds, now in (("a", 8.0, 0.0), ("a", 1.0, 600.0), ("", 5.0, 600.0)):
                charge(connection, client, seconds, now)  # type: ignore[arg-type]

        await scene.database.call(work)
        assert await scene.database.call(lambda c: read_used(c, 600.0)) == {"a": 5.0}

    play(place, act)


def test_a_reason_with_a_nul_character_is_stored(place: Place) -> None:
    async def act(scene: Scene) -> None:
        await scene.put("r")
        (claim,) = await scene.claim()
        await scene.store.finish("r", 0, "failed", "got 'a\0b'", claim)
        assert await scene.status("r") == ("failed", 1, "got 'a\\0b'")

    play(place, act)


def test_a_run_that_another_client_has_just_asked_for_goes_on_unless_an_operator_stops_it(place: Place) -> None:
    async def act(scene: Scene) -> None:
        await scene.put("r")
        assert await scene.queue.want("r")
        assert await scene.queue.request_cancel("r") == "wanted"
        await scene.claim()
        assert await scene.queue.request_cancel("r") == "wanted"
        assert await scene.queue.request_cancel("r", is_forced=True) == "stops"
        assert not await scene.queue.want("r")

    play(place, act)
