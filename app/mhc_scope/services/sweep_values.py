"""Read a metric over a sweep: one number per sweep cell, or a status that states why it has none."""

import asyncio
from collections import OrderedDict
from dataclasses import dataclass

from mhc_core.metrics import METRICS
from mhc_core.record.grid import Grid
from mhc_core.record.reduction import REDUCTIONS, ReducedNumber, Reduction, reduce_metric
from mhc_core.record.result import Result
from mhc_scope.services.results import read_result
from mhc_scope.services.runs import Runs
from mhc_scope.services.sweep import SweepGrid

CACHED_RUNS = 1024
Numbers = dict[tuple[str, Reduction], ReducedNumber]


@dataclass(frozen=True)
class MeasuredSweep:
    """A sweep, and the values of one reduced metric over its cells."""

    sweep: SweepGrid
    grid: Grid


class SweepReader:
    """Reads the result of each run once, and caches all its reduced metrics."""

    def __init__(self, runs: Runs) -> None:
        self._runs = runs
        self._numbers: OrderedDict[str, Numbers] = OrderedDict()
        # A page requests numbers and figure of a sweep at the same time. The lock lets each run be read only once.
        self._reading = asyncio.Lock()

    async def measure(self, sweep: SweepGrid, key: str, reduction: Reduction) -> MeasuredSweep:
        """Return a reduced metric of every cell of a sweep in its present state. Runs may end during this call."""
        found: dict[str, ReducedNumber] = {}
        seen: dict[str, str] = {}
        while changed := [run_id for run_id, state in sweep.states.items() if seen.get(run_id) != state]:
            for run_id in changed:
                seen[run_id] = sweep.states[run_id]
                found[run_id] = await self._look_up(sweep, run_id, key, reduction)
        cells = [[found[run_id] for run_id in row] for row in sweep.ids]
        grid = Grid(
            METRICS[key],
            reduction,
            sweep.x,
            sweep.y,
            sweep.ids,
            [[cell.value for cell in row] for row in cells],
            [[cell.log10 for cell in row] for row in cells],
            [["done" if cell.status == "finite" else cell.status for cell in row] for row in cells],
        )
        return MeasuredSweep(sweep, grid)

    async def _look_up(self, sweep: SweepGrid, run_id: str, key: str, reduction: Reduction) -> ReducedNumber:
        """Return the reduced metric of one run, or its state if it is not done."""
        if sweep.states[run_id] != "done":
            return ReducedNumber(None, None, sweep.states[run_id])
        async with self._reading:
            if run_id not in self._numbers and not await self._read(run_id):
                sweep.states[run_id] = "gone"
                return ReducedNumber(None, None, "gone")
        self._numbers.move_to_end(run_id)
        return self._numbers[run_id][key, reduction]

    async def _read(self, run_id: str) -> bool:
        """Read a run and cache its reduced metrics. Return False if it no longer exists."""
        run = await self._runs.store.get(run_id)
        if run is None or run.status != "done":
            return False
        await self._runs.store.touch(run)
        result = await read_result(self._runs.log.read_all(run_id))
        self._numbers[run_id] = await asyncio.to_thread(_reduce_all, result)
        while len(self._numbers) > CACHED_RUNS:
            self._numbers.popitem(last=False)
        return True


def _reduce_all(result: Result) -> Numbers:
    return {(key, how): reduce_metric(result, key, how) for key in METRICS for how in REDUCTIONS}
