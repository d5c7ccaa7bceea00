"""A run as it was at a step of training, as far as its frames tell. `static/js/steps.js` says the same."""

from typing import Any, Protocol

import numpy as np

from app.panels.sources import Columns, Derived
from mhc_core.metrics.mixing import measure_matrices

# What figures show of the trained stack, and what a step's frame has in its place.
COLUMNS = {
    "act_rms": "step_act_rms",
    "grad_rms": "step_grad_rms",
    "composite_gain_fwd": "step_gain_fwd",
    "composite_gain_bwd": "step_gain_bwd",
}
MATRICES = {"h_res": "step_h_res", "cka": "step_cka"}
# Of the trained stack alone.
UNKNOWN = (
    "composite_gain_fwd_token",
    "composite_gain_bwd_token",
    "ds_error",
    "act_rms_streams",
    "grad_rms_streams",
)


class Trained(Columns, Protocol):
    """The parts of a result that know of steps."""

    kept: dict[str, np.ndarray]
    kept_steps: list[int]


def count_trained(result: Columns) -> int:
    """Steps whose frames are in; the learning rate is a number at each."""
    return int(np.isfinite(result.steps["step_lr"]).sum()) if result.steps else 0


def nearest_kept(result: Trained, step: int) -> int | None:
    """Of the steps at which matrices are kept the place of the one next to `step`; of two the earlier."""
    places = range(len(result.kept_steps))
    return min(places, key=lambda place: abs(result.kept_steps[place] - step), default=None)


def shows_kept(template: dict[str, Any]) -> bool:
    """Whether a figure shows matrices, which are known at kept steps alone."""
    return any(trace["meta"]["key"] in MATRICES for trace in template["data"])


def at_step(result: Trained, step: int | None) -> Columns:
    """The columns with gains and sizes at a step, from 0, and matrices at the nearest step at which they are kept.

    All are as the step began, before its update, on its batch. What the step's frame lacks is `unknown`: runs of
    numerics 1 tell of gains and mixing alone. A run that does not train stays as it is, and so does any at no
    step; one that has not come so far gives its last step.
    """
    trained = count_trained(result)
    if step is None or trained == 0:
        return result
    row = min(step, trained - 1)
    found = Derived(
        start=result.start,
        steps=result.steps,
        steps_log10=result.steps_log10,
        steps_status=result.steps_status,
        layers=_without(result.layers),
        layers_log10=_without(result.layers_log10),
        status=_without(result.status),
        matrices=_without(result.matrices),
        bands=_without(result.bands),
    )
    for key, source in COLUMNS.items():
        for table in (found.layers, found.layers_log10, found.status, found.bands):
            table.pop(key, None)
        if source in result.steps:
            found.layers[key] = result.steps[source][row]
            found.layers_log10[key] = result.steps_log10[source][row]
            _put_status(found, key, result.steps_status.get(source, {}).get(row))
        else:
            found.unknown.add(key)
    place = nearest_kept(result, row)
    for key, source in MATRICES.items():
        found.matrices.pop(key, None)
        found.status.pop(key, None)
        if place is not None and source in result.kept:
            found.matrices[key] = result.kept[source][place]
            _put_status(found, key, result.steps_status.get(source, {}).get(result.kept_steps[place]))
        else:
            found.unknown.add(key)
    if "h_res" in found.matrices:
        found.layers["ds_error"] = measure_matrices(found.matrices["h_res"].astype(np.float64))["ds_error"]
    return found


def _put_status(found: Derived, key: str, flags: Any) -> None:
    """Flags of a step by layer; of a matrix that is lost as a whole there is one word, and nothing to draw."""
    if isinstance(flags, dict):
        found.status[key] = flags


def _without(table: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in table.items() if not key.startswith(UNKNOWN)}
