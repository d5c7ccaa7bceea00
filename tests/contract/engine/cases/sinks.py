"""A sink that fails: its job fails with the reason, or is forgotten, and the engine goes on."""

import asyncio

from mhc_scope.engine.contract import SinkError
from tests.contract.engine.bench import LONG, Bench


async def test_a_sink_that_cannot_go_on_gives_the_reason(bench: Bench) -> None:
    bench.recorder.failures["lines", "refused"] = SinkError("other frames than those stored")
    await bench.submit(LONG, job_id="refused")
    end = await bench.recorder.wait_for_end("refused")
    assert (end.status, end.reason) == ("failed", "other frames than those stored")
    del bench.recorder.of["refused"], bench.recorder.failures["lines", "refused"]
    await bench.compute()


async def test_any_other_error_is_named(bench: Bench) -> None:
    bench.recorder.failures["start", "unstored"] = OSError("disk full")
    await bench.submit(LONG, job_id="unstored")
    end = await bench.recorder.wait_for_end("unstored")
    assert (end.status, end.reason) == ("failed", "the server could not store it: OSError")
    del bench.recorder.of["unstored"], bench.recorder.failures["start", "unstored"]
    await bench.compute()


async def test_a_job_whose_end_cannot_be_stored_is_forgotten(bench: Bench) -> None:
    bench.recorder.failures["end", "endless"] = OSError("disk full")
    await bench.submit(job_id="endless")
    await bench.recorder.wait_for_lines("endless")
    async with asyncio.timeout(10):
        await bench.engine.cancel("endless")
    assert bench.engine.running == 0
    del bench.recorder.of["endless"], bench.recorder.failures["end", "endless"]
    await bench.submit(job_id="endless")
    assert (await bench.recorder.wait_for_end("endless")).status == "done"


async def test_a_slow_sink_holds_back_its_own_job_alone(bench: Bench) -> None:
    await bench.wait_until_ready()
    gate = bench.recorder.gates["lines", "slow"] = asyncio.Event()
    await bench.submit(job_id="slow")
    await bench.recorder.wait_for(lambda: bench.recorder.of["slow"].started)
    await bench.compute()
    assert bench.recorder.of["slow"].end is None
    gate.set()
    assert (await bench.recorder.wait_for_end("slow")).status == "done"
