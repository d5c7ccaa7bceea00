"""Leases: a server that lives keeps its runs and sweeps, and those of a lost one are taken over in time."""

import asyncio
import time

import pytest
from sqlalchemy import insert

from mhc_scope.store.claims import RunClaim
from mhc_scope.store.live_traces import LiveTraceStore
from mhc_scope.store.local_queue import STUCK_S
from mhc_scope.store.tables import runs
from mhc_service.queue.lease_watch import MIN_DURATIONS
from mhc_service.queue.leases import RENEW_AT, to_heartbeat_s, to_lease_duration_s
from tests.app.store.place import Place
from tests.app.store.test_queue import Scene, play
from tests.app.store.test_sweeps import Scene as SweepScene
from tests.app.store.test_sweeps import play as play_sweeps
from tests.records import TRACE
from tests.service.queue.shared_place import LEASE_S

pytestmark = pytest.mark.full


@pytest.mark.parametrize("lease_s", [0.1, 1.0, 2.0, 8.0, 10.0, 60.0, 3600.0])
def test_a_lease_is_renewed_before_it_is_taken_for_lost_and_taken_over_in_time(lease_s: float) -> None:
    beat_s, duration_s = to_heartbeat_s(lease_s), to_lease_duration_s(lease_s)
    assert (1 - RENEW_AT) * duration_s + beat_s <= MIN_DURATIONS * duration_s + 1e-9, "also where a clock was set ahead"
    assert duration_s + 2 * beat_s <= lease_s + 1e-9, "seen with one heartbeat of the others, claimed by the next"


def test_a_claim_gives_a_lease(place: Place) -> None:
    async def act(scene: Scene) -> None:
        await scene.put("r")
        (claim,) = await scene.claim()
        run = await scene.store.get("r")
        assert run is not None
        assert (run.server, run.fence) == (scene.database.server, claim.fence)  # type: ignore[attr-defined]
        assert run.leased_until is not None
        assert run.started_at is not None
        assert abs(run.leased_until - run.started_at - to_lease_duration_s(LEASE_S)) < 1e-3

    play(place, act)


def test_a_claimed_run_is_renewed(place: Place) -> None:
    async def act(scene: Scene) -> None:
        await scene.put("r")
        (claim,) = await scene.claim()
        await scene.set("r", leased_until=1.0)
        assert (await scene.queue.check([claim])).gone == []
        run = await scene.store.get("r")
        assert run is not None
        assert run.leased_until is not None
        assert run.leased_until > 1.0

    play(place, act)


def test_the_run_of_another_server_is_taken_over_once_its_lease_is_over(place: Place) -> None:
    async def act(scene: Scene) -> None:
        await scene.put("r")
        (claim,) = await scene.claim()
        await scene.set("r", server="other")
        found = await scene.queue.check([RunClaim("r", claim.fence)])
        assert (found.gone, found.freed) == (["r"], [])
        assert (await scene.queue.check([])).freed == []
        await asyncio.sleep(LEASE_S)
        assert (await scene.queue.check([])).freed == ["r"]

    play(place, act)


def test_what_no_lease_holds_is_stuck_once_its_time_is_over(place: Place) -> None:
    """Five runs are running; a trace that grows from outside has no lease and needs none."""

    async def act(scene: Scene) -> None:
        now = time.time()  # the database is on this machine
        leases = {"held": now + 60, "lapsed": now - 2 * STUCK_S, "bare": None, "fresh": None}
        common = {"kind": "run", "source": {"kind": "spec", "spec": {}}, "cost": {}, "created_at": 1.0, "used_at": 1.0}
        await LiveTraceStore(scene.database).open("live", TRACE, "secret")
        rows = [
            {"id": name, "status": "running", "started_at": now - 20 if name == "fresh" else 1.0, "leased_until": until}
            for name, until in leases.items()
        ]
        await scene.database.call(lambda c: c.execute(insert(runs), [row | common for row in rows]))
        assert await scene.queue.count_stuck(max_run_s=25.0) == 2, "lapsed and bare"

    play(place, act)


def test_the_sweep_of_another_server_is_taken_over_once_its_lease_is_over(place: Place) -> None:
    async def act(scene: SweepScene) -> None:
        for name in ("lost", "held"):
            await scene.open(name)
        await scene.open("ended", "ben")
        await scene.set("lost", server="other", leased_until=0.0)
        await scene.set("ended", server="other", leased_until=0.0, is_open=False)
        # By what this server sees, and not by the time of day.
        assert await scene.store.take_over() == []
        await asyncio.sleep(LEASE_S)
        assert [row.id for row in await scene.store.take_over()] == ["lost"]
        assert await scene.store.take_over() == []
        await scene.set("held", server="other")
        assert await scene.store.take_over() == []

    play_sweeps(place, act)
