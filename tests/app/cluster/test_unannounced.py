"""Runs whose caller left before it was told of them: no one computes them, unless another caller wants them."""

import pytest

from mhc_core.spec import RunSpec
from mhc_scope.services.identity import ClientIdentity
from mhc_scope.services.unannounced import Caller, CallerGone
from tests.app.cluster.puppet import Server, make_spec, play
from tests.app.store.place import Place

pytestmark = pytest.mark.full


def build_caller(*, is_gone: bool = False) -> Caller:
    async def answer() -> bool:
        return is_gone

    return Caller(answer)


async def submit(server: Server, spec: RunSpec, caller: Caller | None, client: str = "me") -> str:
    (submitted,) = await server.runs.submit([spec], ClientIdentity(client, client), caller=caller)
    return submitted.run_id


async def read_status(server: Server, run_id: str) -> str:
    return (await server.get(run_id)).status


def test_nothing_is_queued_for_a_caller_that_is_gone_before_its_turn(place: Place) -> None:
    async def act() -> None:
        server, spec = await Server(place).start(), make_spec(1)
        with pytest.raises(CallerGone):
            await submit(server, spec, build_caller(is_gone=True))
        assert await server.runs.store.get(spec.id) is None
        await server.stop()

    play(act())


def test_runs_of_a_caller_that_leaves_untold_are_cancelled_waiting_or_under_way(place: Place) -> None:
    async def act() -> None:
        server = await Server(place).start()
        callers = [build_caller() for _ in range(2)]
        ids = [await submit(server, make_spec(seed), caller) for seed, caller in enumerate(callers)]
        assert [await read_status(server, run_id) for run_id in ids] == ["running", "queued"]
        for caller in reversed(callers):
            await server.runs.withdraw(caller)
        assert [await read_status(server, run_id) for run_id in ids] == ["cancelled"] * 2
        again = await submit(server, make_spec(0), None)
        await server.compute(again)
        assert await read_status(server, again) == "done"
        await server.stop()

    play(act())


def test_runs_that_were_announced_go_on(place: Place) -> None:
    async def act() -> None:
        server, caller = await Server(place).start(), build_caller()
        run_id = await submit(server, make_spec(1), caller)
        server.runs.announce([run_id])
        await server.runs.withdraw(caller)
        assert await read_status(server, run_id) == "running"
        await server.stop()

    play(act())


@pytest.mark.parametrize("client", ["me", "another"])
def test_runs_that_another_was_told_of_go_on(place: Place, client: str) -> None:
    async def act() -> None:
        server, spec, caller = await Server(place).start(), make_spec(1), build_caller()
        run_id = await submit(server, spec, caller)
        assert await submit(server, spec, None, client) == run_id
        await server.runs.withdraw(caller)
        assert await read_status(server, run_id) == "running"
        await server.stop()

    play(act())


def test_runs_that_someone_watches_go_on(place: Place) -> None:
    async def act() -> None:
        server, caller = await Server(place).start(), build_caller()
        run_id = await submit(server, make_spec(1), caller)
        with server.hub.subscribe([run_id], "viewer"):
            await server.runs.withdraw(caller)
        assert await read_status(server, run_id) == "running"
        await server.stop()

    play(act())


def test_the_last_of_several_callers_that_leave_untold_ends_the_run(place: Place) -> None:
    async def act() -> None:
        server, spec = await Server(place).start(), make_spec(1)
        callers = [build_caller() for _ in range(3)]
        (run_id, *_) = [await submit(server, spec, caller) for caller in callers]
        statuses = []
        for caller in callers:
            await server.runs.withdraw(caller)
            statuses.append(await read_status(server, run_id))
        assert statuses == ["running", "running", "cancelled"]
        await server.stop()

    play(act())
