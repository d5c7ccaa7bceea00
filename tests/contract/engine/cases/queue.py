"""Jobs wait in order, and the engine says how many, where, and how fast its workers are."""

from mhc_core.cost.estimates import estimate
from mhc_core.cost.rates import DEFAULT_RATES
from mhc_core.spec import RunSpec
from tests.contract.engine.bench import Bench


async def test_jobs_start_in_the_order_of_their_submission(bench: Bench) -> None:
    busy = await bench.occupy()
    ids = [bench.submit() for _ in range(4)]
    await bench.cancel(*busy)
    for job_id in ids:
        await bench.recorder.wait_for_end(job_id)
    assert [job_id for job_id in bench.recorder.order if job_id in ids] == ids


async def test_positions_are_places_in_the_queue(bench: Bench) -> None:
    busy = await bench.occupy()
    first, second = bench.submit(), bench.submit()
    assert [bench.engine.position(job_id) for job_id in (*busy, first, second)] == [0, 0, 1, 2]
    await bench.cancel(first)
    assert [bench.engine.position(job_id) for job_id in (first, second)] == [None, 1]
    await bench.cancel(*busy, second)


async def test_an_unknown_id_has_no_position(bench: Bench) -> None:
    assert bench.engine.position("unknown") is None
    assert bench.engine.position(await bench.compute()) is None


async def test_jobs_are_counted(bench: Bench) -> None:
    busy = await bench.occupy()
    waiting = [bench.submit() for _ in range(3)]
    assert (bench.engine.waiting, bench.engine.running) == (3, 2)
    await bench.cancel(*waiting)
    assert (bench.engine.waiting, bench.engine.running) == (0, 2)
    await bench.cancel(*busy)
    assert (bench.engine.waiting, bench.engine.running) == (0, 0)


async def test_those_who_wait_are_told_of_their_places(bench: Bench) -> None:
    busy = await bench.occupy()
    first, second, third = (bench.submit() for _ in range(3))
    bench.recorder.moved.clear()
    await bench.cancel(second)
    assert bench.recorder.moved[-1] == [first, third]
    await bench.cancel(*busy)
    await bench.recorder.wait_for_end(third)
    assert [third] in bench.recorder.moved
    assert bench.recorder.moved[-1] == []


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
