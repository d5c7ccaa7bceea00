"""Build the `step` frame of an observation: its columns, and at some steps its matrices."""

import math
from typing import cast

import numpy as np

from mhc_core.measure.step_frame import NEIGHBOURS, to_finite_input
from mhc_core.metrics import METRICS
from mhc_core.record.columns import to_status
from mhc_core.record.frames import StepFrame
from mhc_core.record.result import Result
from mhc_core.record.values import LayerStatus, Status, Values
from mhc_probe.monitor.observation import Observation

# Metric of a training step -> the same metric of a pass.
COLUMNS = {
    "step_param_grad_norm": "param_grad_norm",
    "step_mixing_grad_norm": "mixing_grad_norm",
    "step_act_rms": "act_rms",
    "step_grad_rms": "grad_rms",
    "step_cos_prev": "cos_prev",
    "step_cos_prev_p05": "cos_prev_p05",
    "step_cos_prev_p95": "cos_prev_p95",
    "step_token_cos": "token_cos",
    "step_gain_fwd": "composite_gain_fwd",
    "step_gain_bwd": "composite_gain_bwd",
}
MATRICES = {f"step_{key}": key for key in ("h_pre", "h_read", "h_post", "h_res", "cka", "unfolded")}
STREAMED = {f"step_{key}": key for key in ("act_rms_streams", "grad_rms_streams", "stream_cos")}
BEFORE = ("act_rms_streams", "grad_rms_streams")  # metrics of the state before the first layer
KEPT_OCTAVE = 8  # steps with matrices in every doubling of the number of steps


def is_kept(step: int) -> bool:
    """Return whether a step keeps its matrices: the first 16 steps do, then 8 evenly spaced ones in every doubling.

    The number of steps is not known in advance, and a record with the matrices of all steps would grow too large.
    """
    return step % max(1, 2 ** (step.bit_length() - 1) // KEPT_OCTAVE) == 0


def build_step_frame(observation: Observation, step: int) -> StepFrame:
    """Return the frame of one step, from 0, of an observed training run."""
    result = observation.result
    values: Values = {}
    log10: Values = {}
    status: dict[str, Status | LayerStatus] = {}
    for key, source in COLUMNS.items():
        if source in result.layers:
            values[key], status[key] = np.array(result.layers[source]), _flag(result, source)
            if METRICS[key].scale == "log":
                log10[key] = np.array(result.layers_log10[source])
    for key in values.keys() & NEIGHBOURS:
        values[key][0] = np.nan  # the first layer has no layer before it
        status[key].pop(0, None)  # type: ignore[union-attr]
    if is_kept(step):
        _add_matrices(result, values, status)
    _add_numbers(observation, values, log10, status)
    reported = {key: flags for key, flags in status.items() if flags}
    before = {key: result.input[key] for key in BEFORE if key in result.input} if is_kept(step) else {}
    return StepFrame(
        step=step,
        iteration=observation.iteration,
        values=values,
        log10=log10,
        status=reported,
        input=to_finite_input(before),
    )


def _flag(result: Result, key: str) -> LayerStatus:
    """Return the status of a column by layer; `unknown` for a layer without a value or status."""
    column = np.asarray(result.layers[key])
    unknown = np.flatnonzero(~np.isfinite(column.reshape(len(column), -1)).all(1))
    known = cast(LayerStatus, result.status.get(key, {}))
    return {int(layer): known.get(int(layer), "unknown") for layer in unknown} | known


def _add_matrices(result: Result, values: Values, status: dict[str, Status | LayerStatus]) -> None:
    """Add the matrices and the sizes of streams of a pass to the values of a step frame."""
    for key, source in MATRICES.items():
        if source not in result.matrices:
            continue
        values[key], status[key] = (
            np.array(result.matrices[source]),
            cast(LayerStatus, dict(result.status.get(source, {}))),
        )
    for key, source in STREAMED.items():
        if source in result.layers:
            values[key], status[key] = np.array(result.layers[source]), _flag(result, source)


def _add_numbers(
    observation: Observation, values: Values, log10: Values, status: dict[str, Status | LayerStatus]
) -> None:
    """Add loss, learning rate and norm of the gradient, each if it is known."""
    if observation.loss_frame is not None:
        values["step_loss"] = observation.loss_frame.values["loss"]
        flag = observation.loss_frame.status.get("loss")
        status |= {"step_loss": flag} if flag else {}
    if observation.rate is not None:
        values["step_lr"] = observation.rate
    norm = observation.grad_norm
    if norm is not None:
        flag = to_status(norm)
        values["step_grad_norm"] = None if flag else norm
        status |= {"step_grad_norm": flag} if flag else {}
        log10["step_grad_norm"] = math.log10(norm) if 0 < norm < math.inf else None
