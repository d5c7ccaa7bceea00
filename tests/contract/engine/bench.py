"""An engine that runs, with its recorder and jobs for it."""

import asyncio
import itertools
from collections.abc import Callable
from typing import Any

from mhc_scope.engine.contract import RUN, Engine, Job
from tests.contract.engine.harness import Harness
from tests.contract.engine.recorder import End, Recorder

SMALL: dict[str, Any] = {
    "depth": 2,
    "width": 8,
    "block": {"kind": "mlp"},
    "input": {"kind": "gaussian", "batch": 1, "tokens": 4},
}
# Many layers: the first frames come at once, the last one after more than ten seconds.
LONG_INPUT = {"kind": "gaussian", "batch": 8, "tokens": 64}
# Blocks of which theory has no law: a law of 1024 layers takes half a second, before the first frame.
LONG: dict[str, Any] = SMALL | {"depth": 1024, "width": 64, "block": {"kind": "transformer"}, "input": LONG_INPUT}
READY_S = 250.0

_seeds = itertools.count()


class Bench:
    """What a case works with."""

    def __init__(self, harness: Harness, **settings: Any) -> None:
        self.harness, self.workers = harness, settings["workers"]
        self.engine: Engine = harness.build(**settings)
        self.recorder = Recorder()

    async def start(self) -> None:
        """Start the engine."""
        await self.engine.start(self.recorder)

    async def wait_until_ready(self) -> None:
        """Until all workers are warm."""
        await wait_until(lambda: self.engine.ready_workers == self.workers)

    async def wait_until_free(self, count: int = 1) -> None:
        """Until so many jobs can be submitted."""
        await wait_until(lambda: self.engine.free >= count)

    async def submit(self, spec: dict[str, Any] = SMALL, kind: str = RUN, job_id: str | None = None) -> str:
        """Submit a job once a worker is free; returns its id."""
        await self.wait_until_free()
        return self.submit_now(spec, kind, job_id)

    def submit_now(self, spec: dict[str, Any] = SMALL, kind: str = RUN, job_id: str | None = None) -> str:
        """Submit a job with a seed, and unless one is given an id, of its own; returns its id."""
        seed = next(_seeds)
        name = job_id or f"job-{seed}"
        self.engine.submit(Job(name, kind, spec | {"seed": seed}))
        return name

    async def compute(self, spec: dict[str, Any] = SMALL, kind: str = RUN) -> str:
        """Submit a job and wait until it is done."""
        job_id = await self.submit(spec, kind)
        end = await self.recorder.wait_for_end(job_id)
        assert end.status == "done", end
        return job_id

    async def occupy(self) -> list[str]:
        """Give every worker a long job; returns their ids."""
        await self.wait_until_ready()
        await self.wait_until_free(self.workers)
        ids = [self.submit_now(LONG) for _ in range(self.workers)]
        for job_id in ids:
            await self.recorder.wait_for_lines(job_id)
        return ids

    async def cancel(self, *job_ids: str) -> list[End]:
        """Cancel jobs side by side; how they ended, by what the sink knows when the calls return."""
        await asyncio.gather(*map(self.engine.cancel, job_ids))
        ends = [self.recorder.of[job_id].end for job_id in job_ids]
        return [end for end in ends if end is not None]


async def wait_until(is_so: Callable[[], bool], timeout_s: float = READY_S) -> None:
    """Look again and again: for what no report tells."""
    async with asyncio.timeout(timeout_s):
        while not is_so():
            await asyncio.sleep(0.01)
