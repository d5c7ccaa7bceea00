"""The deadline and the memory of a worker end a job, with a reason, and not the engine."""

import pytest

from tests.contract.engine.bench import LONG, SMALL, Bench

# Its input alone takes 1 GiB, at once.
BIG = SMALL | {"width": 4096, "input": {"kind": "gaussian", "batch": 64, "tokens": 1024}}


@pytest.mark.full
async def test_a_job_past_the_deadline_fails_and_each_has_the_whole_of_it(hasty_bench: Bench) -> None:
    for _ in range(2):
        job_id = await hasty_bench.submit(LONG)
        end = await hasty_bench.recorder.wait_for_end(job_id)
        assert (end.status, end.reason) == ("failed", "it took longer than 1 s, the deadline of this server")
        assert end.index == len(hasty_bench.recorder.of[job_id].lines) > 0
    await hasty_bench.compute()


@pytest.mark.full
async def test_a_job_without_memory_fails_and_says_so(small_bench: Bench) -> None:
    end = await small_bench.recorder.wait_for_end(await small_bench.submit(BIG))
    assert (end.status, end.reason) == ("failed", "out of memory: a worker may allocate 1.2 GiB")
    await small_bench.compute()
