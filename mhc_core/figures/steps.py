"""Show a run as it was at a step of training, from its frames, as `static/js/figures/steps.js` does."""

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np

from mhc_core.figures.sources import Columns, DerivedColumns, derive, to_unknown
from mhc_core.metrics import LAYER_METRICS, METRICS
from mhc_core.metrics.mixing import measure_matrices
from mhc_core.record.reduction import log10_of
from mhc_core.record.source import TRACE

# What figures show of the trained stack, and what a step's frame has in its place.
COLUMNS = {
    "act_rms": "step_act_rms",
    "grad_rms": "step_grad_rms",
    "cos_prev": "step_cos_prev",
    "cos_prev_p05": "step_cos_prev_p05",
    "cos_prev_p95": "step_cos_prev_p95",
    "token_cos": "step_token_cos",
    "composite_gain_fwd": "step_gain_fwd",
    "composite_gain_bwd": "step_gain_bwd",
    # No frame of a step has these: as of a run of an earlier version, figures show the trained stack, and say so.
    **{key: f"step_{key}" for key in LAYER_METRICS},
}
# The same of what frames have at kept steps alone: columns over the layers, and matrices.
KEPT_COLUMNS = {
    "act_rms_streams": "step_act_rms_streams",
    "grad_rms_streams": "step_grad_rms_streams",
    "stream_cos": "step_stream_cos",
}
MATRICES = {
    **{key: f"step_{key}" for key in ("h_pre", "h_read", "h_post", "h_res")},
    "cka": "step_cka",
    "unfolded": "step_unfolded",
}
KEPT = {**KEPT_COLUMNS, **MATRICES}
# Of the trained stack alone.
UNKNOWN = (
    *("composite_gain_fwd_token", "composite_gain_bwd_token", "ds_error"),
    *("kernel_rank", "kernel_shares", "gauge_read_norm", "gauge_write_norm", "gauge_remainder"),
    *("composite_sigma_max", "composite_sigma_min"),
    *("h_pre_std", "h_read_std", "h_post_std", "h_res_std"),
)


class TrainingResult(Columns, Protocol):
    """The parts of a result that know of steps."""

    kept: dict[str, np.ndarray]
    kept_steps: list[int]


def count_received_steps(result: Columns) -> int:
    """Return how many training steps were received.

    A run's columns are made with all steps, so its finite learning rates are counted; a trace's columns have only
    received steps.
    """
    if not result.steps:
        return 0
    if result.method == TRACE:
        return max(len(column) for column in result.steps.values())
    return int(np.isfinite(result.steps["step_lr"]).sum())


def is_watched(results: Sequence[Columns]) -> bool:
    """Return whether all runs that train are recordings of someone's own model."""
    return all(result.method == TRACE for result in results if count_received_steps(result) > 0)


def name_step(results: Sequence[Columns], step: int) -> int:
    """Return the name under which a training step, counted from 0, is shown.

    Its place from 1, or what trainers of watched models call it, if all the same.
    """
    names = {result.iterations[step] for result in results if step in result.iterations}
    return names.pop() if is_watched(results) and len(names) == 1 else step + 1


def nearest_kept(result: TrainingResult, step: int) -> int | None:
    """Return the place, among training steps that store matrices, of the one nearest to `step`; of two the earlier."""
    places = range(len(result.kept_steps))
    return min(places, key=lambda place: abs(result.kept_steps[place] - step), default=None)


def shows_kept(template: dict[str, Any]) -> bool:
    """Return whether a figure shows columns that only some training steps have."""
    return any(trace["meta"]["key"] in KEPT for trace in template["data"])


def can_follow(template: dict[str, Any], results: Sequence[TrainingResult], step: int) -> bool:
    """Return whether a figure can show a training step: some run must have data of that step.

    That is so of runs that an earlier version stored, and of maps of layer by layer in deep stacks.
    """
    keys = {trace["meta"]["key"] for trace in template["data"]}
    shown = [at_step(result, step) for result in results if count_received_steps(result) > 0]
    is_noted = any(_has_column(columns, key) for columns in shown for key in keys)
    return is_noted or not any(keys & to_unknown(columns) for columns in shown)


def at_step(result: TrainingResult, step: int | None) -> Columns:
    """Return a run's columns as they were at a training step, from 0; what few steps store, at the nearest of them.

    All are as the step began, before its update, on its batch. What the run has and the step's frame lacks is
    `unknown`: runs of earlier versions recorded less. A run that does not train stays as it is, and so does any at no
    step; one that has not come so far gives its last step.
    """
    trained = count_received_steps(result)
    if step is None or trained == 0:
        return result
    row = min(step, trained - 1)
    replaced = ("layers", "layers_log10", "status", "matrices", "bands")
    found = derive(result, unknown=set(), **{name: _without(getattr(result, name)) for name in replaced})
    for key, source in COLUMNS.items():
        if source in result.steps:
            found.layers[key] = result.steps[source][row]
            if source in result.steps_log10:
                found.layers_log10[key] = result.steps_log10[source][row]
            _put_status(found, key, result.steps_status.get(source, {}).get(row))
    place = nearest_kept(result, row)
    for key, source in KEPT.items():
        if place is not None and source in result.kept:
            kept = result.kept[source][place]
            (found.matrices if key in MATRICES else found.layers)[key] = kept
            if METRICS[key].scale == "log":
                found.layers_log10[key] = log10_of(kept)
            _put_status(found, key, result.steps_status.get(source, {}).get(result.kept_steps[place]))
    found.unknown = {key for key in (*COLUMNS, *KEPT) if _has_column(result, key) and not _has_column(found, key)}
    if "h_res" in found.matrices:
        found.layers["ds_error"] = measure_matrices(found.matrices["h_res"].astype(np.float64))["ds_error"]
    return found


def _has_column(columns: Columns, key: str) -> bool:
    return key in columns.layers or key in columns.matrices


def _put_status(found: DerivedColumns, key: str, flags: Any) -> None:
    """Set the status by layer of a column at a training step; a single word for a whole matrix is left out."""
    if isinstance(flags, dict):
        found.status[key] = flags


def _without(table: dict[str, Any]) -> dict[str, Any]:
    """Return a table of the trained stack without the columns that a training step replaces or never records."""
    return {
        key: value
        for key, value in table.items()
        if key not in COLUMNS and key not in KEPT and not key.startswith(UNKNOWN)
    }
