"""Numbers of a sweep are of one moment: what says that all is done has every number."""

from typing import Any

from mhc_core.metrics import METRICS
from mhc_core.record.grid import Axis
from mhc_core.record.reduction import REDUCTIONS, ReducedNumber
from mhc_scope.services.identity import SERVER
from mhc_scope.services.sweep import SweepGrid
from mhc_scope.services.sweep_values import SweepReader
from tests.apart import run_loop


def build_sweep(**states: str) -> SweepGrid:
    """One row of runs in these states."""
    places: dict[str, tuple[Any, Any]] = {run_id: (place, None) for place, run_id in enumerate(states)}
    return SweepGrid(
        "s", SERVER, {}, Axis("depth", tuple(range(1, len(states) + 1))), None, [list(states)], places, states
    )


class Interrupted(SweepReader):
    """While one run is read another one ends, as a worker that is at it makes it end."""

    def __init__(self, sweep: SweepGrid, meanwhile: dict[str, str]) -> None:
        super().__init__(None)  # type: ignore[arg-type]
        self._sweep, self._meanwhile = sweep, meanwhile

    async def _read(self, run_id: str) -> bool:
        self._sweep.states |= self._meanwhile
        self._numbers[run_id] = {(key, how): ReducedNumber(1.0, 0.0, "finite") for key in METRICS for how in REDUCTIONS}
        return True


def test_a_run_that_ends_while_others_are_read_has_its_number() -> None:
    sweep = build_sweep(a="running", b="done", c="held")
    values = Interrupted(sweep, {"a": "done", "c": "failed"})
    grid = run_loop(values.measure(sweep, "composite_gain_fwd", "max")).grid
    assert not sweep.is_open
    assert grid.status == [["done", "done", "failed"]]
    assert grid.values == [[1.0, 1.0, None]]


class Emptied:
    """Of runs whose store has dropped them."""

    class store:
        @staticmethod
        async def get(run_id: str) -> None:
            return None


def test_a_run_that_is_dropped_is_gone_and_has_no_number() -> None:
    sweep = build_sweep(a="done")
    grid = run_loop(SweepReader(Emptied()).measure(sweep, "composite_gain_fwd", "max")).grid  # type: ignore[arg-type]
    assert (grid.status, grid.values, sweep.states) == ([["gone"]], [[None]], {"a": "gone"})
