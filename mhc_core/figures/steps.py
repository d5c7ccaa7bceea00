"""Derives the columns of a run at a training step from its frames, as `static/js/figures/steps.js` does."""

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np

from mhc_core.figures.sources import Columns, DerivedColumns, derive, to_unknown
from mhc_core.metrics import LAYER_METRICS, METRICS
from mhc_core.metrics.mixing import measure_matrices
from mhc_core.record.reduction import log10_of
from mhc_core.record.source import TRACE

# Metrics of the trained stack that figures show -> columns of training steps that replace them.
COLUMNS = {
    "act_rms": "step_act_rms",
    "grad_rms": "step_grad_rms",
    "cos_prev": "step_cos_prev",
    "cos_prev_p05": "step_cos_prev_p05",
    "cos_prev_p95": "step_cos_prev_p95",
    "token_cos": "step_token_cos",
    "composite_gain_fwd": "step_gain_fwd",
    "composite_gain_bwd": "step_gain_bwd",
    # Frames of steps do not have these: figures show the trained stack, and say so.
    **{key: f"step_{key}" for key in LAYER_METRICS},
}
# The same for columns over layers, and for matrices, that only kept steps have.
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
# Prefixes of metrics that only the trained stack has.
UNKNOWN = (
    *("composite_gain_fwd_token", "composite_gain_bwd_token", "ds_error"),
    *("kernel_rank", "kernel_shares", "gauge_read_norm", "gauge_write_norm", "gauge_remainder"),
    *("composite_sigma_max", "composite_sigma_min"),
    *("h_pre_std", "h_read_std", "h_post_std", "h_res_std"),
)


class TrainingResult(Columns, Protocol):
    """The parts of a result for figures of training steps."""

    kept: dict[str, np.ndarray]
    kept_steps: list[int]


def count_received_steps(result: Columns) -> int:
    """Return the number of training steps received so far.

    Columns of a run have their full length from the start, so finite learning rates are counted. Columns of a trace
    only have received steps.
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
    """Return the number under which a training step is shown: counted from 1, or the trainer's own number if all runs
    are recordings with the same one.

    step: counted from 0.
    """
    names = {result.iterations[step] for result in results if step in result.iterations}
    return names.pop() if is_watched(results) and len(names) == 1 else step + 1


def nearest_kept(result: TrainingResult, step: int) -> int | None:
    """Return the index in `kept_steps` of the step nearest to `step` (of two, the earlier); None if there are none."""
    places = range(len(result.kept_steps))
    return min(places, key=lambda place: abs(result.kept_steps[place] - step), default=None)


def shows_kept(template: dict[str, Any]) -> bool:
    """Return whether a figure shows columns that only kept training steps have."""
    return any(trace["meta"]["key"] in KEPT for trace in template["data"])


def can_follow(template: dict[str, Any], results: Sequence[TrainingResult], step: int) -> bool:
    """Return whether a figure can show a training step: at least one run must have its data at that step.

    Runs of earlier versions may not have it, and deep stacks have no matrices over pairs of layers.
    """
    keys = {trace["meta"]["key"] for trace in template["data"]}
    shown = [at_step(result, step) for result in results if count_received_steps(result) > 0]
    is_noted = any(_has_column(columns, key) for columns in shown for key in keys)
    return is_noted or not any(keys & to_unknown(columns) for columns in shown)


def at_step(result: TrainingResult, step: int | None) -> Columns:
    """Return a run's columns at a training step, counted from 0, before its update and for its batch. Columns that only
    kept steps have are those of the nearest kept step.

    Columns that the run has, but not at this step, are in `unknown`; runs of earlier versions recorded fewer. If the
    run does not train, or `step` is None, return the run's own columns. If the run has not reached the step, return
    those of its last step.
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
    """Set the status by layer of a column at a training step. A single status for a whole matrix is ignored."""
    if isinstance(flags, dict):
        found.status[key] = flags


def _without(table: dict[str, Any]) -> dict[str, Any]:
    """Return a table of the trained stack without the columns that a training step replaces or does not have."""
    return {
        key: value
        for key, value in table.items()
        if key not in COLUMNS and key not in KEPT and not key.startswith(UNKNOWN)
    }
