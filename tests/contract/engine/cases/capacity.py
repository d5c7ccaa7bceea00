"""The engine says how many jobs it can take, how many it has, and how fast its workers are."""

from mhc_core.cost.estimates import estimate
from mhc_core.cost.rates import DEFAULT_RATES
from mhc_core.spec import RunSpec
from tests.contract.engine.bench import Bench, wait_until


async def test_jobs_are_counted_and_leave_fewer_free(bench: Bench) -> None:
    await bench.wait_until_ready()
    assert (bench.engine.free, bench.engine.running) == (2, 0)
    first = bench.submit_now()
    assert (bench.engine.free, bench.engine.running) == (1, 1), "from its submission on"
    second = bench.submit_now()
    assert (bench.engine.free, bench.engine.running) == (0, 2)
    for count, job_id in ((1, first), (2, second)):
        await bench.recorder.wait_for_end(job_id)
        await bench.wait_until_free(count)


async def test_a_worker_that_is_free_is_reported(bench: Bench) -> None:
    busy = await bench.occupy()
    reported = bench.recorder.freed
    await bench.cancel(busy[0])
    await wait_until(lambda: bench.recorder.freed > reported)
    assert bench.engine.free == 1
    await bench.cancel(busy[1])


async def test_workers_are_counted_busy_or_not(bench: Bench) -> None:
    await bench.wait_until_ready()
    assert bench.engine.ready_workers == 2
    busy = await bench.occupy()
    assert bench.engine.ready_workers == 2
    await bench.cancel(*busy)


async def test_rates_are_measured_by_the_workers(bench: Bench) -> None:
    await bench.wait_until_ready()
    assert bench.engine.rates != DEFAULT_RATES
    assert 0 < estimate(RunSpec(), bench.engine.rates).seconds < 100
    assert bench.harness.build(workers=1).rates == DEFAULT_RATES, "until a worker has reported"
