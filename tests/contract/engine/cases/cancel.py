"""Stopping a job, wherever it is on its way."""

import asyncio
import time

import pytest

from tests.contract.engine.bench import SMALL, Bench
from tests.contract.engine.recorder import End

# One layer takes seconds: a worker that is asked to stop answers late.
HEAVY = SMALL | {"depth": 3, "width": 1024, "input": {"kind": "gaussian", "batch": 16, "tokens": 256}}
CANCEL_S = 1.0


async def test_a_job_under_way(bench: Bench) -> None:
    busy = await bench.occupy()
    (end, _) = await bench.cancel(*busy)
    assert (end.status, end.reason) == ("cancelled", None)
    assert end.index == len(bench.recorder.of[busy[0]].lines) > 0


async def test_a_job_just_submitted_never_starts(bench: Bench) -> None:
    await bench.wait_until_ready()
    job_id = await bench.submit()
    assert await bench.cancel(job_id) == [End(0, "cancelled", None)]
    assert not bench.recorder.of[job_id].started


@pytest.mark.parametrize("turns", [1, 2, 3, 4, 6, 10])
async def test_a_job_on_its_way_to_a_worker(bench: Bench, turns: int) -> None:
    await bench.wait_until_ready()
    job_id = await bench.submit()
    for _ in range(turns):
        await asyncio.sleep(0)
    (end,) = await bench.cancel(job_id)
    assert end.status in ("cancelled", "done")
    assert bench.engine.running == 0


async def test_twice_at_once(bench: Bench) -> None:
    busy = await bench.occupy()
    ends = await bench.cancel(busy[0], busy[0], busy[0])
    assert [end.status for end in ends] == ["cancelled"] * 3
    await bench.cancel(busy[1])


async def test_twice_before_a_worker_has_it(bench: Bench) -> None:
    await bench.wait_until_ready()
    job_id = await bench.submit()
    bench.recorder.gates["end", job_id] = asyncio.Event()
    asyncio.get_running_loop().call_later(0.05, bench.recorder.gates["end", job_id].set)
    assert await bench.cancel(job_id, job_id) == [End(0, "cancelled", None)] * 2


async def test_an_unknown_job_is_left_alone(bench: Bench) -> None:
    assert await bench.cancel("unknown") == []
    assert "unknown" not in bench.recorder.order


async def test_a_job_that_is_over_stays_done(bench: Bench) -> None:
    job_id = await bench.compute()
    (end,) = await bench.cancel(job_id)
    assert end.status == "done"


async def test_while_the_last_lines_are_stored_it_stays_done(bench: Bench) -> None:
    gate = bench.recorder.gates["end", "late"] = asyncio.Event()
    await bench.submit(job_id="late")
    await bench.recorder.wait_for(lambda: any(b'"summary"' in line for line in bench.recorder.of["late"].lines))
    stopping = asyncio.create_task(bench.engine.cancel("late"))
    await asyncio.sleep(0.05)
    assert not stopping.done(), "the end is not stored yet"
    gate.set()
    await stopping
    assert bench.recorder.of["late"].end == End(len(bench.recorder.of["late"].lines), "done", None)
    await asyncio.gather(bench.compute(), bench.compute())  # a late cancel stops no other job


async def test_a_worker_takes_the_next_job(bench: Bench) -> None:
    busy = await bench.occupy()
    await bench.cancel(*busy)
    for job_id in [await bench.submit() for _ in range(4)]:
        assert (await bench.recorder.wait_for_end(job_id)).status == "done"


async def test_a_job_whose_worker_answers_late_ends_at_once(bench: Bench) -> None:
    await bench.wait_until_ready()
    job_id = await bench.submit(HEAVY)
    await bench.recorder.wait_for(lambda: bench.recorder.of[job_id].started)
    await asyncio.sleep(0.1)
    begun = time.monotonic()
    (end,) = await bench.cancel(job_id)
    assert end.status == "cancelled"
    assert time.monotonic() - begun < CANCEL_S
    await bench.wait_until_ready()
    await asyncio.gather(bench.compute(), bench.compute())


async def test_settle_waits_for_a_job_that_is_being_stopped(bench: Bench) -> None:
    busy = await bench.occupy()
    gate = bench.recorder.gates["end", busy[0]] = asyncio.Event()
    stopping = asyncio.create_task(bench.engine.cancel(busy[0]))
    await asyncio.sleep(0)
    settling = asyncio.create_task(bench.engine.settle(busy[0]))
    await asyncio.sleep(0.05)
    assert not settling.done()
    gate.set()
    await settling
    assert bench.recorder.of[busy[0]].end is not None
    await stopping
    await bench.cancel(busy[1])


async def test_settle_waits_for_nothing_else(bench: Bench) -> None:
    busy = await bench.occupy()
    for job_id in (*busy, "unknown"):
        async with asyncio.timeout(0.5):
            await bench.engine.settle(job_id)
    await bench.cancel(*busy)
