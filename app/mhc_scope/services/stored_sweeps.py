"""A sweep that a snapshot holds, as it was when the view was stored.

The snapshot's row holds axes, run ids, states and reasons, and its done runs are kept for good like those that are
compared. What had not ended is `missing` and stays so: another look later is another snapshot. Numbers and map are
measured from the kept runs whenever they are asked for, of any metric.
"""

from typing import Any

from mhc_core.record.grid import Axis
from mhc_scope.services.identity import SERVER
from mhc_scope.services.runs import Runs
from mhc_scope.services.sweep import HELD, LIVE, SweepGrid

MISSING = "missing"
StoredSweep = dict[str, Any]  # JSON


async def to_stored(sweep: SweepGrid, runs: Runs) -> StoredSweep:
    """The sweep as it is now; of runs that are done only those that are still there."""
    states = {run_id: MISSING if state in (HELD, *LIVE) else state for run_id, state in sorted(sweep.states.items())}
    for run_id in [run_id for run_id, state in states.items() if state == "done"]:
        run = await runs.store.get(run_id)
        if run is None or run.status != "done":
            states[run_id] = "gone"
    axes = {"x": vars(sweep.x), "y": None if sweep.y is None else vars(sweep.y)}
    reasons = {run_id: reason for run_id, reason in sorted(sweep.reasons.items()) if states[run_id] != "done"}
    return {"id": sweep.id, "spec": sweep.base, **axes, "ids": sweep.ids, "states": states, "reasons": reasons}


def from_stored(stored: StoredSweep) -> SweepGrid:
    """A sweep that is over."""
    x, y = (None if axis is None else Axis(axis["field"], tuple(axis["values"])) for axis in (stored["x"], stored["y"]))
    assert x is not None
    kept = {name: stored[name] for name in ("id", "ids", "states", "reasons")}
    return SweepGrid(**kept, client=SERVER, base=stored["spec"], x=x, y=y, places={})


def list_done(stored: StoredSweep) -> list[str]:
    """The runs that it holds."""
    return [run_id for run_id, state in stored["states"].items() if state == "done"]
