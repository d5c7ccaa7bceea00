"""Workers die, and the engine goes on: kill -9 at any time."""

import asyncio

import pytest

from tests.contract.engine.bench import Bench, wait_until
from tests.contract.engine.harness import kill
from tests.contract.engine.recorder import End


def kill_workers(bench: Bench, count: int = 2) -> list[int]:
    """Kill so many workers of the engine; their process ids."""
    workers = bench.harness.list_workers()[:count]
    assert len(workers) == count
    for pid in workers:
        kill(pid)
    return workers


@pytest.mark.full
async def test_an_idle_worker_is_replaced(bench: Bench) -> None:
    await bench.wait_until_ready()
    (dead,) = kill_workers(bench, 1)
    await wait_until(lambda: bench.engine.ready_workers == 1)
    await bench.compute()
    await bench.wait_until_ready()
    assert dead not in bench.harness.list_workers()


@pytest.mark.full
async def test_the_job_of_a_killed_worker_fails_and_no_other(bench: Bench) -> None:
    busy = await bench.occupy()
    kill_workers(bench, 1)
    await bench.recorder.wait_for(lambda: any(bench.recorder.of[job_id].end for job_id in busy))
    (failed, going_on) = sorted(busy, key=lambda job_id: bench.recorder.of[job_id].end is None)
    end = await bench.recorder.wait_for_end(failed)
    assert end.status == "failed"
    assert end.reason is not None
    assert "SIGKILL" in end.reason
    assert end.index == len(bench.recorder.of[failed].lines) > 0
    await bench.recorder.wait_for_lines(going_on, len(bench.recorder.of[going_on].lines) + 1)
    await bench.compute()
    await bench.cancel(going_on)


@pytest.mark.full
async def test_a_job_that_is_being_cancelled_ends_once(bench: Bench) -> None:
    busy = await bench.occupy()
    stopping = asyncio.create_task(bench.cancel(*busy))
    await asyncio.sleep(0)
    kill_workers(bench, 1)
    assert [end.status for end in await stopping] == ["cancelled"] * 2


@pytest.mark.full
async def test_a_job_given_to_a_dying_worker_ends_once(small_bench: Bench) -> None:
    await small_bench.wait_until_ready()
    kill_workers(small_bench, 1)
    job_id = small_bench.submit_now()  # the engine cannot know yet
    assert (await small_bench.recorder.wait_for_end(job_id)).status in ("done", "failed")
    await small_bench.compute()


@pytest.mark.full
async def test_a_job_whose_worker_has_just_died_waits_for_the_next(small_bench: Bench) -> None:
    await small_bench.wait_until_ready()
    kill_workers(small_bench, 1)
    await wait_until(lambda: small_bench.engine.ready_workers == 0)
    # Its successor dies before it is ready.
    await wait_until(lambda: len(small_bench.harness.list_workers()) == 1)
    kill_workers(small_bench, 1)
    # Submitted by who saw a free worker a moment before.
    first, second = small_bench.submit_now(), small_bench.submit_now()
    assert (small_bench.engine.free, small_bench.engine.running) == (0, 2)
    assert await small_bench.cancel(first) == [End(0, "cancelled", None)], "without a worker"
    assert small_bench.engine.ready_workers == 0
    assert (await small_bench.recorder.wait_for_end(second)).status == "done"
    assert not small_bench.recorder.of[first].started
