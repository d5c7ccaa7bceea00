"""An engine is stopped with jobs under way, and started again."""

import asyncio

from tests.contract.engine.bench import Bench, wait_until


async def test_a_stop_forgets_jobs_without_an_end(small_bench: Bench) -> None:
    busy = await small_bench.occupy()
    waiting = small_bench.submit()
    stopping = asyncio.create_task(small_bench.engine.cancel("nobody"))
    await small_bench.engine.stop()
    await stopping
    for job_id in (*busy, waiting):
        assert small_bench.recorder.of[job_id].end is None
        assert small_bench.engine.position(job_id) is None
        await small_bench.engine.cancel(job_id)
        await small_bench.engine.settle(job_id)
    assert (small_bench.engine.waiting, small_bench.engine.running, small_bench.engine.ready_workers) == (0, 0, 0)
    # Started again, it computes the same jobs from their first frame.
    await small_bench.start()
    for job_id in (*busy, waiting):
        small_bench.recorder.of.pop(job_id)
        small_bench.submit(job_id=job_id)
        assert (await small_bench.recorder.wait_for_end(job_id)).status == "done"
        assert small_bench.recorder.of[job_id].frames[0]["index"] == 0


async def test_a_stop_releases_those_who_wait_for_an_end(small_bench: Bench) -> None:
    (busy,) = await small_bench.occupy()
    small_bench.recorder.gates["end", busy] = asyncio.Event()
    waits = [asyncio.create_task(small_bench.engine.cancel(busy))]
    await asyncio.sleep(0)
    waits.append(asyncio.create_task(small_bench.engine.settle(busy)))
    await asyncio.sleep(0.3)
    async with asyncio.timeout(5):
        await small_bench.engine.stop()
        await asyncio.gather(*waits)
    assert small_bench.recorder.of[busy].end is None
    await small_bench.start()


async def test_a_stop_leaves_no_process(small_bench: Bench) -> None:
    await wait_until(lambda: len(small_bench.harness.list_workers()) == 1)
    await small_bench.engine.stop()
    assert small_bench.harness.list_workers() == []
    await small_bench.start()


async def test_jobs_are_taken_before_a_worker_is_ready(small_bench: Bench) -> None:
    await small_bench.engine.stop()
    await small_bench.start()
    assert small_bench.engine.ready_workers == 0
    first, second = small_bench.submit(), small_bench.submit()
    assert [small_bench.engine.position(job_id) for job_id in (first, second)] == [1, 2]
    await small_bench.cancel(first)
    assert (await small_bench.recorder.wait_for_end(second)).status == "done"
