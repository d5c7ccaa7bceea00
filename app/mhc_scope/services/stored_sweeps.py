"""Store a sweep with a snapshot, in its present state.

The snapshot's row contains axes, run ids, states and reasons. The sweep's done runs are kept as long as the snapshot,
like its compared runs. Runs that have not ended are stored as `missing` and remain so: a later state needs another
snapshot. Numbers and the figure are computed from the kept runs on request, for any metric.
"""

from typing import Any

from mhc_core.record.grid import Axis
from mhc_scope.services.identity import SERVER
from mhc_scope.services.runs import Runs
from mhc_scope.services.sweep import LIVE, PENDING, SweepGrid

MISSING = "missing"
StoredSweep = dict[str, Any]  # JSON


async def to_stored(sweep: SweepGrid, runs: Runs) -> StoredSweep:
    """Return the present state of a sweep in the form that snapshots store. Done runs that were deleted are `gone`."""
    states = {run_id: MISSING if state in (PENDING, *LIVE) else state for run_id, state in sorted(sweep.states.items())}
    for run_id in [run_id for run_id, state in states.items() if state == "done"]:
        run = await runs.store.get(run_id)
        if run is None or run.status != "done":
            states[run_id] = "gone"
    axes = {"x": vars(sweep.x), "y": None if sweep.y is None else vars(sweep.y)}
    reasons = {run_id: reason for run_id, reason in sorted(sweep.reasons.items()) if states[run_id] != "done"}
    return {"id": sweep.id, "spec": sweep.base, **axes, "ids": sweep.ids, "states": states, "reasons": reasons}


def from_stored(stored: StoredSweep) -> SweepGrid:
    """Return the sweep that a snapshot has stored."""
    x, y = (None if axis is None else Axis(axis["field"], tuple(axis["values"])) for axis in (stored["x"], stored["y"]))
    assert x is not None
    kept = {name: stored[name] for name in ("id", "ids", "states", "reasons")}
    return SweepGrid(**kept, client=SERVER, base=stored["spec"], x=x, y=y, places={})


def list_done(stored: StoredSweep) -> list[str]:
    """List the ids of a stored sweep's done runs."""
    return [run_id for run_id, state in stored["states"].items() if state == "done"]
