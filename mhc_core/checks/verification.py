"""Verifies a finished run: compares it with all laws that apply, with its recomputation, and with exact relations.

Verdicts are `holds`, `fails`, and `skipped` if no number could be compared, for the reason in the statement. Laws that
do not apply are not listed. `DETECTS` says which faults each check can and cannot find; docs/laws.md says how often
each found planted faults.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from statistics import NormalDist
from typing import Any

import numpy as np

from mhc_core.checks.check import Check, Scale, Verdict
from mhc_core.checks.detection import DETECTS, IDENTITIES, MAPS
from mhc_core.checks.reference_columns import REFERENCES, name_untrained
from mhc_core.checks.rounding import LEAST, MOST, find_added, find_tolerance, lift, to_log10
from mhc_core.metrics import METRICS
from mhc_core.record.frames import JacobianFrame, RecomputationFrame
from mhc_core.record.result import Result
from mhc_core.spec import RunSpec
from mhc_core.theory.bands import FALSE_ALARM, Band
from mhc_core.theory.laws import MIXING_EPS, OWN, Curve, predict
from mhc_core.theory.premises import (
    has_unit_row_sums,
    has_unit_sums,
    is_free,
    is_norm_bounded,
    is_orthogonal,
)

Array = np.ndarray

# Factor of the measured effect of one rounding per layer, because a run has more roundings.
SAFETY = {"float64": 30.0, "float32": 30.0, "bfloat16": 15.0}
# Range of accurate rms values, in decades on both sides of 1. Metrics of all types compute squares in float64.
RANGE = {"float32": 36.0, "bfloat16": 36.0, "float64": 150.0}
LOSS_LEAST = {"float64": 1e-12, "float32": 1e-5, "bfloat16": 0.05}
FIRST_STEP = "At the first step, before any update."
NORMS = {
    "norm_bound": "At every step, as no H_res lengthens a signal, so no product does. A value below 1 counts as 1.",
    "singular_floor": "At every step, as every H_res is orthogonal, and so are products. A value above 1 counts as 1.",
}
AGAIN, SOURCE = "Recomputed in float64 by plain autograd.", "float64 recomputation"
# Columns whose change by rounding is taken as the least for all columns of the same source.
KNOWN_BEST = {
    "states": ("act_rms", "token_cos", "cos_prev", "cos_prev_p05", "cos_prev_p95"),
    "gradients": ("grad_rms", "grad_rms_streams"),
}
SIZES = ("act_rms", "act_rms_streams", "branch_in_rms", "branch_out_rms")
MAP_TOLERANCE = {"auto": 1e-10, "float32": 1e-4, "bfloat16": 0.1}  # tolerance of coefficients by the type of their map
MISMATCH_FACTOR = 10.0  # the mismatch of Jacobian products is only rounding, so only its order of magnitude is checked
SIGNALS = ("act_rms", "branch_out_rms", "grad_rms")
Z = NormalDist().inv_cdf(1 - FALSE_ALARM / 2)


@dataclass(frozen=True)
class RecordCheck(Check):
    """The result of a check of a column of a record. Its numbers are those of the entry that is closest to failing.

    Attributes
    ----------
    name: a law of `theory`, or a key of `DETECTS`.
    metric: key of the metric, or `loss`, or `weights`.
    layer: layer of the numbers, from 0; None if they have no layer.
    source: source of the expected value.
    """

    verdict: Verdict
    expected: float | None = None
    measured: float | None = None
    metric: str = field(kw_only=True)
    layer: int | None = field(kw_only=True)
    source: str = field(kw_only=True)

    @property
    def place(self) -> str:
        """Return the metric and the layer of the numbers as text. Layers are counted from 1 for people."""
        return self.metric if self.layer is None else f"{self.metric} at layer {self.layer + 1}"


def verify(spec: RunSpec, result: Result, recomputed: RecomputationFrame | None) -> list[RecordCheck]:
    """Return all checks that apply to a run: of laws and sums, and, with the result of `recompute`, of all columns and
    exact relations.

    For a trained stack, the first training step is recomputed.
    """
    curves = predict(spec)
    in_range = _find_representable(spec, curves, result)
    checks = [_check_curve(curve, result, in_range[curve.metric]) for curve in curves] + _check_sums(spec, result)
    checks += [
        _check_steps(curve, curve.steps_log10, result, in_range[curve.metric])
        for curve in curves
        if curve.steps_log10 is not None
    ]
    if is_free(spec):
        checks.append(_check_drift(spec, result))
    checks += _check_norms(spec, result)
    if recomputed is None:
        return checks
    checks += (_check_first_step if spec.train.steps else _check_columns)(spec, result, recomputed)
    if recomputed.mean_law_error is not None:
        checks.append(_check_mean_law(recomputed.mean_law_error))
    return checks + _check_identities(recomputed) + _check_maps(spec, recomputed)


# Laws.


def _find_representable(spec: RunSpec, curves: Sequence[Curve], result: Result) -> dict[str, Array]:
    """Return for each metric whether the run's type can represent the value that a law predicts, for each layer (L).

    If a law has no value for a layer, the measured value is used. If a state leaves the range, all later layers and all
    gradients are lost.
    """
    every = np.ones(spec.depth, dtype=bool)
    inside = {curve.metric: _is_in_range(spec, curve, result) for curve in curves if curve.metric in SIGNALS}
    forward = np.logical_and.accumulate(inside.get("act_rms", every))
    backward = np.logical_and.accumulate(inside.get("grad_rms", every)[::-1])[::-1] & forward.all()
    limits = {"act_rms": forward, "token_cos": forward, "grad_rms": backward}
    return {curve.metric: limits.get(curve.metric, every) for curve in curves}


def _is_in_range(spec: RunSpec, curve: Curve, result: Result) -> Array:
    """Return for each layer whether the run's type can represent the values that this law predicts, (L)."""
    assert curve.low_log10 is not None
    assert curve.high_log10 is not None
    low, high = (
        np.where(curve.speaks_L, part, result.layers_log10[curve.metric])
        for part in (curve.low_log10, curve.high_log10)
    )
    return ~((low < -RANGE[spec.dtype]) | (high > RANGE[spec.dtype]))


def _check_curve(curve: Curve, result: Result, held_L: Array) -> RecordCheck:
    """Compare the measured column of a metric with the band of a law, in the layers `held_L`."""
    if curve.values_log10 is not None:
        measured, value, low, high = (
            result.layers_log10[curve.metric], curve.values_log10, curve.low_log10, curve.high_log10,
        )  # fmt: skip
    else:
        measured, value, low, high = result.layers[curve.metric], curve.values, curve.low, curve.high
    assert low is not None
    assert high is not None
    tolerance = np.where(measured > value, high - value, value - low)
    known = np.isfinite(measured) & curve.speaks_L & held_L
    return compare(curve.law, curve.metric, value, measured, tolerance, known, curve.holds, curve.source)


def _check_steps(curve: Curve, band: Band, result: Result, held_L: Array) -> RecordCheck:
    """Compare the change of a column's log10 from each layer to the next with a law's band for these changes, which is
    narrower than its band of values. Layers are compared if the law holds (`held_L`) at them and at the layer before.
    """
    with np.errstate(invalid="ignore"):
        step = np.diff(result.layers_log10[curve.metric], prepend=np.nan)
    value, low, high = (np.concatenate([[0.0], part]) for part in band)
    tolerance = np.where(step > value, high - value, value - low)
    text = f"{curve.holds} The change from each layer to the next."
    known = np.isfinite(step) & held_L & np.append(True, held_L[:-1])
    return compare(curve.law, curve.metric, value, step, tolerance, known, text, curve.source)


def _check_sums(spec: RunSpec, result: Result) -> list[RecordCheck]:
    """Check that row and column sums of H_res are 1, if they are by construction."""
    laws = {"h_res_row_sum": has_unit_row_sums(spec), "h_res_col_sum": has_unit_sums(spec)}
    tolerance = 4 * spec.streams * MIXING_EPS[spec.dtype]
    text, every = "Sums to 1 by construction.", np.ones(spec.depth, dtype=bool)
    return [
        compare("sums", key, np.ones_like(result.layers[key]), result.layers[key], tolerance, every, text, "mHC Eq. 3")
        for key, applies in laws.items()
        if applies
    ]


def _check_norms(spec: RunSpec, result: Result) -> list[RecordCheck]:
    """Check that products of norm-bounded H_res have no singular value above 1, and of orthogonal ones none below 1.

    A value on the allowed side of 1 counts as 1. Rounding changes each matrix by n eps times its norm, which is 1.
    """
    every, ones = np.ones(spec.depth, dtype=bool), np.zeros(spec.depth)
    tolerance = 4 * spec.streams * MIXING_EPS[spec.dtype] * np.arange(1, spec.depth + 1)
    checks = []
    for law, key, applies, limit in (
        ("norm_bound", "composite_sigma_max", is_norm_bounded(spec), np.maximum),
        ("singular_floor", "composite_sigma_min", is_orthogonal(spec), np.minimum),
    ):
        if applies and key in result.layers:  # records of earlier releases have neither
            measured = limit(result.layers_log10[key].astype(np.float64), 0.0)
            checks.append(compare(law, key, ones, measured, tolerance / math.log(10), every, NORMS[law], OWN))
    return checks


def _check_drift(spec: RunSpec, result: Result) -> RecordCheck:
    """Compare the root mean square of all entries of H_res - I, over all layers, with the drift of the spec.

    Of m entries, it has a standard error of drift / sqrt(2 m), by the chi-square distribution for large m.
    """
    drift = result.matrices["h_res"].astype(np.float64) - np.eye(spec.streams)
    size = np.array([math.sqrt(float((drift**2).mean()))])
    tolerance = spec.connection.noise * Z * math.sqrt(0.5 / drift.size)
    text = "As initialised, entries of H_res - I have the standard deviation of the drift, over all layers together."
    expected, every = np.full(1, spec.connection.noise), np.ones(1, dtype=bool)
    return compare("drift_size", "h_res", expected, size, tolerance, every, text, OWN)


def _check_mean_law(error: float) -> RecordCheck:
    """Check the largest error of the law of the mean over streams, from the recomputation."""
    text = "In float64, mean_i x'[i] = mean_i x[i] + mean(H_post) F, as columns of H_res sum to 1; relative error."
    every = np.ones(1, dtype=bool)
    return compare("mean_law", "act_rms", np.zeros(1), np.array([error]), 1e-12, every, text, OWN, scale="linear")


# Exact relations.


def _check_identities(recomputed: RecomputationFrame) -> list[RecordCheck]:
    """Check the errors of all exact relations in the recomputation, and the sizes of its weights."""
    errors = {key: np.array(error, dtype=np.float64) for key, error in (recomputed.identities or {}).items()}
    checks = [
        compare(key, metric, np.zeros(len(errors[key])), errors[key], tolerance, np.isfinite(errors[key]),
                text + _say_lost(errors.get(f"{key}_lost")), source, scale="linear")
        for key, (metric, tolerance, text, source) in IDENTITIES.items()
        if key in errors
    ]  # fmt: skip
    if "weights" in errors:
        checks += _check_weights(errors["weights"], errors["weights_spread"])
    return checks


def _check_maps(spec: RunSpec, recomputed: RecomputationFrame) -> list[RecordCheck]:
    """Check that the recomputed coefficients agree with the formulas of their family."""
    tolerance = MAP_TOLERANCE[spec.connection.mapping_dtype if spec.family.is_mapped else "auto"]
    checks = []
    for name, (key, text, source) in MAPS.items():
        error = (recomputed.identities or {}).get(name)
        if error is not None:
            errors = np.array(error, dtype=np.float64)
            known = np.isfinite(errors)
            key = "h_read" if name == "map_pre" and spec.family.streams == "parts" else key
            checks.append(compare(name, key, 0 * errors, errors, tolerance, known, text, source, scale="linear"))
    return checks


def _say_lost(lost_L: Array | None) -> str:
    """Return a sentence with the number of layers that a check leaves out because numbers are subnormal; "" if None."""
    if lost_L is None:
        return ""
    return f" {int(lost_L.sum())} of {len(lost_L)} layers are left out: their gradients or states are subnormal."


def _check_weights(excess_L: Array, spread_L: Array) -> list[RecordCheck]:
    """Check the size of the weights in each layer, and of those in all layers together, which finds smaller errors."""
    known = np.isfinite(excess_L)
    text = "Squared weights over what the initialisation makes them in the mean, less 1"
    source = "chi-square; He et al. 2015; Glorot & Bengio 2010"
    wide_L = 1e-5 + NormalDist().inv_cdf(1 - FALSE_ALARM / 2 / len(excess_L)) * spread_L
    checks = [compare("weights", "weights", 0 * excess_L, excess_L, wide_L, known, f"{text}.", source, "linear")]
    if known.all():
        mean, tolerance = excess_L.mean(keepdims=True), 1e-5 + Z * math.sqrt(float((spread_L**2).sum())) / len(spread_L)
        all_text = f"{text}, over all layers together."
        checks.append(compare("weights", "weights", 0 * mean, mean, tolerance, known[:1], all_text, source, "linear"))
    return checks


# Recomputation.


def _check_columns(spec: RunSpec, result: Result, recomputed: RecomputationFrame) -> list[RecordCheck]:
    """Compare all columns of the run, its Jacobian and its loss with the recomputation."""
    # None, for values beyond float64, becomes nan. Metrics whose package is not installed are ignored.
    columns, unsure = (
        {key: np.array(column, dtype=np.float64) for key, column in table.items() if key in METRICS}
        for table in (recomputed.columns, recomputed.unsure)
    )
    forward_L, backward_L = _find_in_range(spec, columns)
    layered = [key for key in columns if METRICS[key].table in ("layers", "matrices")]
    kept = {
        key: _find_known(spec, key, column, forward_L, backward_L) for key, column in columns.items() if key in layered
    }
    # Percentiles, and columns that by chance did not change, are not more accurate than the others.
    # The first training step has no summary.
    is_resolved = bool(spec.train.steps) or all(finding.key != "resolution" for finding in result.summary.findings)
    for source, known in KNOWN_BEST.items():
        least_L = np.max([unsure[key] for key in known if key in unsure], axis=0)
        if source == "gradients" and not is_resolved:
            least_L = np.full_like(least_L, np.inf)  # the run itself found that gradients are rounding errors
        unsure |= {key: np.maximum(unsure[key], least_L) for key in layered if REFERENCES[key] == source}
    least = find_added(spec, columns)
    checks = [
        _check_column(spec, result, key, columns[key], unsure[key], kept[key], least.get(key, 0.0))
        for key in layered
        if not _has_no_value(result, key, columns[key])
    ]
    if result.jacobian is not None:
        checks += _check_jacobian(spec, result.jacobian, columns, unsure)
    return [*checks, _check_loss(spec, result, recomputed, bool(forward_L.all()))]


def _check_jacobian(
    spec: RunSpec, frame: JacobianFrame, columns: dict[str, Array], unsure: dict[str, Array]
) -> list[RecordCheck]:
    """Compare singular values of the Jacobian and their bounds with the recomputation, relative to the largest one,
    because rounding errors are relative to it.
    """
    if "jacobian_ritz" not in columns:  # beyond float64
        return []
    size, checks = columns["jacobian_sigma_max"], []
    least = LEAST[spec.connection.mapping_dtype] if spec.maps_coarsely else LEAST[spec.dtype]
    for key in (key for key, source in REFERENCES.items() if source == "jacobian"):
        measured = np.atleast_1d(np.array(frame.values[key], dtype=np.float64))
        # The mismatch of products is only rounding, which the recomputation may lack.
        again, apart = (table.get(key, np.zeros(1)) for table in (columns, unsure))
        digits = MISMATCH_FACTOR if key == "jacobian_mismatch" else 1.0
        tolerance = (
            digits * least * size + SAFETY[spec.dtype] * apart + np.finfo(np.float64).tiny
        )  # a Jacobian can be exactly zero
        if len(measured) != len(again):  # one of the two iterations ended a step earlier
            measured, again, tolerance = (part[:1] for part in (measured, again, tolerance))
        known = (tolerance <= np.maximum(MOST * size, 2 * np.finfo(np.float64).tiny)) & np.isfinite(again)
        check = compare("recomputation", key, again, measured, tolerance, known, AGAIN, SOURCE, scale="linear")
        checks.append(replace(check, layer=None))
    return checks


def _check_first_step(spec: RunSpec, result: Result, recomputed: RecomputationFrame) -> list[RecordCheck]:
    """Compare the measurements of training step 0, before its update, with the recomputation."""
    first = Result(result.depth, keeps_frames=False)
    is_kept = bool(result.kept_steps) and result.kept_steps[0] == 0
    names = {name_untrained(key): key for key, source in REFERENCES.items() if source == "training"}
    for name, key in names.items():
        column = result.kept.get(key) if METRICS[key].table == "kept" else result.steps.get(key)
        if name not in METRICS or column is None or (METRICS[key].table == "kept" and not is_kept):
            continue
        (first.matrices if METRICS[name].table == "matrices" else first.layers)[name] = column[0]
        log10 = result.steps_log10[key][0] if key in result.steps_log10 else to_log10(column[0])
        first.layers_log10 |= {name: log10} if METRICS[name].scale == "log" else {}
    first.loss = float(result.steps["step_loss"][0])
    kept = {key: column for key, column in recomputed.columns.items() if key in (*first.layers, *first.matrices)}
    part = replace(recomputed, columns=kept, unsure={key: recomputed.unsure[key] for key in kept})
    checks = [
        replace(check, metric=names[check.metric], statement=f"{FIRST_STEP} {check.statement}")
        for check in _check_columns(spec, first, part)
    ]
    return [*checks, *_check_step_numbers(spec, result, recomputed)]


def _check_step_numbers(spec: RunSpec, result: Result, recomputed: RecomputationFrame) -> list[RecordCheck]:
    """Check the norm of all gradients in the first training step, and the learning rate in all computed steps."""
    again, unsure = (
        np.array(table["step_grad_norm"], dtype=np.float64) for table in (recomputed.columns, recomputed.unsure)
    )
    tolerance = LEAST[spec.dtype] + SAFETY[spec.dtype] * unsure
    known = (tolerance <= MOST) & (np.abs(to_log10(again)) < RANGE[spec.dtype])
    norm = result.steps_log10["step_grad_norm"][:1].astype(np.float64)
    text = f"{FIRST_STEP} {AGAIN}"
    checks = [compare("recomputation", "step_grad_norm", to_log10(again), norm, tolerance, known, text, SOURCE)]
    rates = result.steps["step_lr"].astype(np.float64)
    expected = np.array(
        [spec.train.lr * min(1.0, (step + 1) / max(1, spec.train.warmup)) for step in range(len(rates))]
    )
    text = "The step size grows linearly over the warm-up and is constant from there on. Of all steps the worst."
    known = np.isfinite(rates)
    rate = compare(
        "recomputation", "step_lr", expected, rates, 1e-6 * expected, known, text, "definition of the metric"
    )
    return [*checks, replace(rate, layer=None)]


def _has_no_value(result: Result, key: str, again: Array) -> bool:
    """Return whether neither the run nor the recomputation has a value in any layer, for example because a gradient is
    0 by symmetry.
    """
    measured = _find_column(result, key)
    return bool(np.isnan(again).all()) and measured is not None and bool(np.isnan(measured).all())


def _find_column(result: Result, key: str) -> Array | None:
    """Return a column of the record in float64; None if the record does not have it."""
    found = (result.matrices if METRICS[key].table == "matrices" else result.layers).get(key)
    return None if found is None else found.astype(np.float64)


def _check_column(
    spec: RunSpec, result: Result, key: str, again: Array, unsure_L: Array, kept_L: Array, least_L: Array | float
) -> RecordCheck:
    """Compare a column of a run with that of the recomputation.

    Parameters
    ----------
    again: column of the recomputation; nan if it has no value.
    unsure_L: change of the column by one rounding, in each layer.
    kept_L: whether the layer can be compared.
    least_L: additional tolerance of this column, see `find_added`.
    """
    measured = _find_column(result, key)
    if measured is None:
        text = f"{AGAIN} The run has no such column."
        return compare("recomputation", key, again, again, 1.0, np.zeros(len(again), dtype=bool), text, SOURCE)
    if METRICS[key].scale == "log":
        # 0 has no logarithm. Two values of 0 agree.
        log10 = np.where(measured == 0, -np.inf, result.layers_log10[key])
        again, measured = lift(spec, key, to_log10(again)), lift(spec, key, log10)
        # Some edits give matrices of exact rank 1, whose other singular values are 0 or rounding errors of float64.
        is_none = again < math.log10(np.finfo(np.float64).eps) if spec.edits else np.isneginf(again)
        zero = is_none & np.isneginf(measured)
        again, measured = np.where(zero, 0.0, again), np.where(zero, 0.0, measured)
    axes = tuple(range(1, again.ndim))
    tolerance = find_tolerance(spec, key, again) + least_L
    tolerance = tolerance + np.expand_dims(SAFETY[spec.dtype] * _accumulate(key, unsure_L), axes)
    size = 1.0 if METRICS[key].scale == "log" else np.maximum(1.0, np.abs(again))
    known, clear = np.isfinite(again) & np.expand_dims(kept_L, axes), tolerance <= MOST * size
    if key == "cka":  # which compares two layers
        known &= kept_L
    lost, unclear = int((~kept_L).sum()), int((known & ~clear).any(axes).sum())
    text = AGAIN
    if lost:
        text += f" {lost} of {spec.depth} layers are left out, beyond the range of {spec.dtype}."
    if unclear:
        text += (
            f" {unclear} of {spec.depth} layers are left out, where the stack makes too much of {spec.dtype} rounding."
        )
    return compare("recomputation", key, again, measured, tolerance, known & clear, text, SOURCE)


def _accumulate(key: str, unsure_L: Array) -> Array:
    """Return the uncertainty of each layer as the maximum up to it, because errors pass on to later layers.

    Columns that depend on all layers, such as gradients, get the maximum of all.
    """
    if not METRICS[key].prefix:
        return np.full_like(unsure_L, unsure_L.max())
    return np.maximum.accumulate(unsure_L)


def _find_in_range(spec: RunSpec, columns: dict[str, Array]) -> tuple[Array, Array]:
    """Return for each layer whether the run's type can represent its state, and whether its gradient, (L) each.

    columns: sizes of states and gradients, from the recomputation in float64.

    If a state leaves the range, all later layers and all gradients are lost.
    """
    # Early records have no streams. Without a pre-norm, attention multiplies the state by itself.
    states, grads = (columns.get(f"{key}_streams", columns[key]) for key in ("act_rms", "grad_rms"))
    is_squared = spec.block.kind == "transformer" and spec.block.norm_position != "pre"
    forward_L = np.logical_and.accumulate(_holds(states, RANGE[spec.dtype] / (2 if is_squared else 1)))
    # If an edit sets a state to 0, the norm amplifies the gradient at the branch input, but not that at the state.
    held_L = _holds(grads, RANGE[spec.dtype]) & _holds(columns.get("branch_grad_rms", grads), RANGE[spec.dtype])
    if spec.connection.is_dynamic:
        held_L &= _holds_products(spec, columns)
    return forward_L, np.logical_and.accumulate(held_L[::-1])[::-1] & forward_L.all()


def _holds(values: Array, decades: float) -> Array:
    """Return for each layer whether all values are 0 or within this number of decades of 1, (L)."""
    fits = (np.abs(to_log10(values)) < decades) | (values == 0)
    return fits.reshape(len(fits), -1).all(1)


def _holds_products(spec: RunSpec, columns: dict[str, Array]) -> Array:
    """Return for each layer whether the gradient of coefficients is within the range of the type, (L).

    It is a sum of products of states and gradients. A factor of 1e10 is reserved for the sum, and for the factors of
    the gradient from coefficients to the state.
    """
    return to_log10(columns["grad_rms"]) + to_log10(columns["act_rms"]) + 10 < RANGE[spec.dtype]


def _find_known(spec: RunSpec, key: str, column: Array, forward_L: Array, backward_L: Array) -> Array:
    """Return for each layer whether a column can be compared with the recomputation, (L)."""
    source, is_all = REFERENCES[key], not METRICS[key].prefix
    if source == "mixing" and not spec.connection.is_dynamic:
        return ~np.isinf(column).reshape(len(column), -1).any(1)
    if source == "gradients":
        return backward_L & _holds(np.nan_to_num(column), RANGE[spec.dtype])
    known_L = np.full_like(forward_L, forward_L.all()) if is_all else forward_L
    if key in SIZES:
        known_L = known_L & _holds(column, RANGE[spec.dtype])
    return known_L & ~np.isinf(column).reshape(len(column), -1).any(1)


def _check_loss(spec: RunSpec, result: Result, recomputed: RecomputationFrame, is_held: bool) -> RecordCheck:
    """Compare the loss of a run with that of the recomputation."""
    again, unsure = (np.array([math.nan if n is None else n]) for n in (recomputed.loss, recomputed.loss_unsure))
    size = np.maximum(np.abs(again), 1.0)
    least = LOSS_LEAST[spec.dtype]
    if spec.maps_coarsely:  # the coarse map rounds all signals, whatever the run's type
        least = max(least, LEAST[spec.connection.mapping_dtype])
    tolerance = least * size + SAFETY[spec.dtype] * unsure
    kept = is_held & (tolerance <= MOST * size)  # False if either is nan
    return compare("recomputation", "loss", again, np.array([result.loss]), tolerance, kept, AGAIN, SOURCE)


# Comparisons.


def compare(
    name: str,
    key: str,
    expected: Array,
    measured: Array,
    tolerance: Array | float,
    kept: Array,
    statement: str,
    source: str,
    scale: Scale | None = None,
    detects: str | None = None,
) -> RecordCheck:
    """Compare two arrays (L, ...) at the entries that `kept` marks, (L) or the arrays' shape, and return the check.

    A measured nan fails. The check is `skipped` if no entry is marked.
    """
    scale = scale or ("log10" if key in METRICS and METRICS[key].scale == "log" else "linear")
    build = partial(RecordCheck, name, scale=scale, detects=detects or DETECTS[name], metric=key, source=source)
    if not kept.any():
        return build("skipped", f"{statement} Nothing to compare.", layer=None)
    tolerance = np.broadcast_to(tolerance, expected.shape)
    with np.errstate(invalid="ignore", divide="ignore"):
        miss = np.nan_to_num(np.abs(measured - expected) / tolerance, nan=np.inf, posinf=np.inf)
    kept = np.expand_dims(kept, tuple(range(kept.ndim, miss.ndim)))
    miss = np.where(kept, miss, -1.0)
    at = np.unravel_index(int(miss.argmax()), miss.shape)
    verdict: Verdict = "holds" if miss[at] <= 1 else "fails"
    numbers = (_to_finite(part[at]) for part in (expected, measured, tolerance))
    layer = int(at[0]) if len(kept) > 1 else None
    return build(verdict, statement, *numbers, layer=layer)


def _to_finite(value: Any) -> float | None:
    return float(value) if math.isfinite(value) else None
