"""The queue of one process: what an earlier one left is found at once, and a check without findings writes nothing."""

import time
from pathlib import Path

import pytest
from sqlalchemy import insert

from mhc_scope.store.claims import ClaimLost
from mhc_scope.store.live_traces import LiveTraceStore
from mhc_scope.store.local_queue import STUCK_S
from mhc_scope.store.tables import runs
from tests.app.store.place import LocalPlace, QuietMember
from tests.app.store.test_queue import LINES, Scene, play
from tests.app.store.test_sweeps import Scene as SweepScene
from tests.app.store.test_sweeps import play as play_sweeps
from tests.records import TRACE


def test_what_an_earlier_process_computed_is_queued_with_its_frames_and_its_claim_is_over(tmp_path: Path) -> None:
    async def act(scene: Scene) -> None:
        await scene.put("r")
        (claim,) = await scene.claim()
        await scene.store.append("r", 0, LINES[:2], claim)
        later = LocalPlace(tmp_path).build_store(scene.database, None).queue  # type: ignore[arg-type]
        await later.join(QuietMember())
        assert (await later.check([])).freed == ["r"]
        assert await scene.status("r") == ("queued", 2, None)
        run = await scene.store.get("r")
        assert run is not None
        assert (run.attempts, run.server_losses) == (0, 1)
        (again,) = (await later.take_turn({}, 1)).claimed
        assert again.id == "r"
        with pytest.raises(ClaimLost):
            await scene.store.append("r", 2, LINES[2:3], claim)

    play(LocalPlace(tmp_path), act)


def test_a_lease_of_an_earlier_version_is_not_waited_for(tmp_path: Path) -> None:
    async def act(scene: Scene) -> None:
        await scene.put("r")
        await scene.claim()
        await scene.set("r", server="an earlier process", leased_until=time.time() + 3600.0)
        assert (await scene.queue.check([])).freed == ["r"]
        run = await scene.store.get("r")
        assert run is not None
        assert (run.status, run.server, run.leased_until) == ("queued", None, None)

    play(LocalPlace(tmp_path), act)


def test_a_check_without_findings_writes_nothing(tmp_path: Path) -> None:
    def read() -> list[tuple[str, int, bytes]]:
        files = sorted(path for path in tmp_path.iterdir() if not path.name.endswith("-shm"))
        return [(path.name, path.stat().st_mtime_ns, path.read_bytes()) for path in files]

    async def act(scene: Scene) -> None:
        await scene.put("r", "s")
        (claim,) = await scene.claim()
        before = read()
        for _ in range(3):
            assert (await scene.queue.check([claim])).freed == []
        assert read() == before
        assert (await scene.queue.check([])).freed == ["r"]
        assert read() != before

    play(LocalPlace(tmp_path), act)


def test_runs_are_stuck_once_they_should_have_ended(tmp_path: Path) -> None:
    """A trace that grows from outside is not: its client may write for days."""

    async def act(scene: Scene) -> None:
        await LiveTraceStore(scene.database).open("live", TRACE, "secret")
        common = {"kind": "run", "source": {"kind": "spec", "spec": {}}, "cost": {}, "created_at": 1.0, "used_at": 1.0}
        ages = {"fresh": 20.0, "old": 60.0 + STUCK_S}
        now = time.time()
        rows = [{"id": name, "status": "running", "started_at": now - age} | common for name, age in ages.items()]
        await scene.database.call(lambda connection: connection.execute(insert(runs), rows))
        assert await scene.queue.count_stuck(max_run_s=50.0) == 1
        assert await scene.queue.count_stuck(max_run_s=70.0) == 0

    play(LocalPlace(tmp_path), act)


def test_open_sweeps_of_an_earlier_process_are_taken_over_at_once(tmp_path: Path) -> None:
    async def act(scene: SweepScene) -> None:
        for name in ("s", "ended"):
            await scene.open(name)
        await scene.set("s", server="earlier", leased_until=time.time() + 3600.0)
        await scene.set("ended", server="earlier", is_open=False)
        assert [row.id for row in await scene.store.take_over()] == ["s"]
        assert await scene.store.take_over() == []
        assert (await scene.find("s")).server == scene.store.server

    play_sweeps(LocalPlace(tmp_path), act)
