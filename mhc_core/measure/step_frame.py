"""Builds the frame of a training step from the measurements of its pass."""

from collections.abc import Mapping

import numpy as np

from mhc_core.cost.counts import keeps_maps
from mhc_core.layers.connections import MATRICES
from mhc_core.measure.step_probe import INPUT, to_cka
from mhc_core.metrics import METRICS, SOME_LAYERS
from mhc_core.metrics.mixing import measure_composites
from mhc_core.metrics.paths import unfold
from mhc_core.record.columns import to_columns, to_signed, to_stack, to_status, with_log10
from mhc_core.record.frames import StepFrame
from mhc_core.record.values import ColumnGroup, LayerStatus, Status, Value, Values
from mhc_core.spec import RunSpec

STREAMED = ("step_act_rms_streams", "step_grad_rms_streams", "step_stream_cos")
NEIGHBOURS = ("step_cos_prev", "step_cos_prev_p05", "step_cos_prev_p95")  # of a layer and the one before it


def build_step_frame(
    spec: RunSpec, step: int, rate: float, values: dict[str, np.ndarray], *, is_kept: bool
) -> StepFrame:
    """Build the frame of a training step. It contains no times, so that a run computed again gives the same bytes.

    Parameters
    ----------
    rate: the learning rate of the step.
    values: measurements by key. A key with the prefix `INPUT` measures the state before the layers. Such keys, and at
        a kept step those of single streams (`STREAMED`), are deleted from `values`.
    is_kept: whether the frame gets the mixing matrices too, and what else kept steps store.
    """
    cast = np.float64 if spec.dtype == "float64" else np.float32
    before = {key.removeprefix(INPUT): values.pop(key).astype(cast) for key in list(values) if key.startswith(INPUT)}
    kept = _keep(spec, values, cast) if is_kept else {}
    columns = {key: _with_log10(key, value) for key, value in values.items() if METRICS[key].shape == "SL"}
    if "step_h_res" in values:
        composites = measure_composites(values["step_h_res"])
        columns |= {f"step_{way}": composites[f"composite_{way}"] for way in ("gain_fwd", "gain_bwd")}
    group = to_columns(columns, cast)
    _drop_first(group)
    _drop_missing(group)
    measured, log10, status = group["values"], group["log10"], dict[str, Status | LayerStatus](group["status"])
    _, log = with_log10(values["step_grad_norm"])
    log10["step_grad_norm"] = float(log) if np.isfinite(log) else None
    for key, value in (
        ("step_loss", values["step_loss"]),
        ("step_lr", rate),
        ("step_grad_norm", values["step_grad_norm"]),
    ):
        _set_value(measured, status, key, float(value), to_status(float(value)))
    for key in (f"step_{field}" for field in MATRICES if is_kept and f"step_{field}" in values):
        _set_value(measured, status, key, values[key].astype(cast), to_status(float(values[key].sum())))
    for key, (value, flags) in kept.items():
        measured[key] = value
        status |= {key: flags} if flags else {}
    return StepFrame(step=step, values=measured, log10=log10, status=status, input=to_finite_input(before))


def to_finite_input(before: Mapping[str, np.ndarray]) -> Values | None:
    """Return the values at the input of the first layer, nan where they are not finite; None if a step has none."""
    return {key: np.where(np.isfinite(value), value, np.nan) for key, value in before.items()} or None


def _keep(
    spec: RunSpec, values: dict[str, np.ndarray], cast: type[np.floating]
) -> dict[str, tuple[np.ndarray, LayerStatus]]:
    """Return what a kept training step stores in addition to the mixing matrices, with the status of layers that are
    not finite.
    """
    kept = {key: to_stack(values.pop(key), cast) for key in STREAMED if key in values}
    if keeps_maps(spec):
        cka_LL, flags = to_cka(values)
        kept["step_cka"] = cka_LL.astype(cast), flags
        if "step_h_pre" in values:  # a layer that reads a matrix of parts has no single weight
            values["step_unfolded"] = unfold(*(values[f"step_{key}"] for key in ("h_pre", "h_post", "h_res")))
        if "step_unfolded" in values:
            kept["step_unfolded"] = to_signed(values["step_unfolded"], cast)
    return kept


def _with_log10(key: str, column: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return a column and its log10, which is nan for columns that do not span decades."""
    return with_log10(column) if METRICS[key].scale == "log" else (column, np.full_like(column, np.nan))


def _drop_first(group: ColumnGroup) -> None:
    """Set the values of layer 0 that compare it with a layer before it to nan, in place and without a status."""
    for key in NEIGHBOURS:
        column = group["values"][key]
        assert isinstance(column, np.ndarray)
        column[0] = np.nan
        flags = group["status"].get(key, {})
        flags.pop(0, None)
        if not flags:
            group["status"].pop(key, None)


def _drop_missing(group: ColumnGroup) -> None:
    """Remove the status of layers that lack a metric which only some layers have, in place; their values are nan."""
    for key in SOME_LAYERS & group["status"].keys():
        flags: LayerStatus = {layer: flag for layer, flag in group["status"].pop(key).items() if flag != "nan"}
        group["status"] |= {key: flags} if flags else {}


def _set_value(
    values: Values, status: dict[str, Status | LayerStatus], key: str, value: Value, flag: Status | None
) -> None:
    """Set a value of a step frame by its key; with a flag, set its status and no value."""
    values[key] = None if flag else value
    if flag:
        status[key] = flag
