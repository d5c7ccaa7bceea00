"""An engine is stopped with jobs under way, and started again."""

import asyncio

from tests.contract.engine.bench import Bench


async def test_a_stop_forgets_jobs_without_an_end(small_bench: Bench) -> None:
    engine, recorder = small_bench.engine, small_bench.recorder
    (busy,) = await small_bench.occupy()
    unbegun = small_bench.submit_now()
    await engine.stop()
    for job_id in (busy, unbegun):
        assert recorder.of[job_id].end is None
        await engine.cancel(job_id)
        await engine.settle(job_id)
        assert recorder.of[job_id].end is None
    assert (engine.running, engine.ready_workers) == (0, 0)
    # Started again, it has no job from before, and an old id begins anew.
    await small_bench.start()
    assert (engine.free, engine.ready_workers) == (0, 0)
    del recorder.of[busy]
    await small_bench.submit(job_id=busy)
    assert (await recorder.wait_for_end(busy)).status == "done"
    assert recorder.of[busy].frames[0]["index"] == 0
    assert not recorder.of[unbegun].started


async def test_a_stop_releases_those_who_wait_and_leaves_no_process(small_bench: Bench) -> None:
    (busy,) = await small_bench.occupy()
    assert len(small_bench.harness.list_workers()) == 1
    small_bench.recorder.gates["end", busy] = asyncio.Event()
    waits = [asyncio.create_task(small_bench.engine.cancel(busy))]
    await asyncio.sleep(0)
    waits.append(asyncio.create_task(small_bench.engine.settle(busy)))
    await asyncio.sleep(0.3)
    async with asyncio.timeout(5):
        await small_bench.engine.stop()
        await asyncio.gather(*waits)
    assert small_bench.recorder.of[busy].end is None
    assert small_bench.harness.list_workers() == []
    await small_bench.start()
