"""A finished run held against every law that applies to it, against its recomputation, and against exact relations.

Verdicts: `holds`, `fails`, and `skipped` where no number could be compared, for the reason that the statement gives.
A law that does not apply is not listed. What each check can find and what it cannot is said by `DETECTS`; docs/laws.md
has how often each found planted faults.
"""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from statistics import NormalDist
from typing import Any, Literal

import numpy as np

from mhc_core.measure.detection import DETECTS, IDENTITIES
from mhc_core.metrics import METRICS
from mhc_core.record.frames import RecomputationFrame
from mhc_core.record.result import Result
from mhc_core.spec import RunSpec
from mhc_core.theory.bands import FALSE_ALARM, Band
from mhc_core.theory.laws import MIXING_EPS, OWN, Curve, predict
from mhc_core.theory.premises import is_doubly_stochastic, is_free, is_row_stochastic

Array = np.ndarray
Verdict = Literal["holds", "fails", "skipped"]
Scale = Literal["linear", "log10"]

MIXING = ("h_res_row_sum", "h_res_col_sum", "composite_gain_fwd", "composite_gain_bwd")
KEYS = ("act_rms", "branch_out_rms", "grad_rms", "token_cos", "loss", *MIXING)
# What rounding costs even where nothing enlarges it, in decades where the metric's scale is log, relative for the loss,
# else absolute; above the largest that 80 specs of 16 and 96 layers showed. To it comes what the recomputation found.
LEAST: dict[str, dict[str, float]] = {
    "float64": dict.fromkeys(KEYS, 1e-12),
    "float32": dict.fromkeys(KEYS, 1e-5),
    "bfloat16": dict.fromkeys(KEYS, 0.02) | dict.fromkeys(MIXING, 1e-5) | {"loss": 0.05},
}
SAFETY = {"float64": 30.0, "float32": 30.0, "bfloat16": 15.0}  # times what one rounding a layer does
MOST = 0.3  # A wider tolerance would say nothing.
RANGE = {
    "float32": 36.0,
    "bfloat16": 36.0,
    "float64": 300.0,
}  # decades either side of 1 in which rms values keep digits
SIGNALS = ("act_rms", "branch_out_rms", "grad_rms")
AGAIN = "Recomputed in float64 by plain autograd."
Z = NormalDist().inv_cdf(1 - FALSE_ALARM / 2)


@dataclass(frozen=True)
class Check:
    """One comparison, shown where the measured value comes closest to failing.

    Attributes
    ----------
    law: a law of `theory`, or a key of `DETECTS`.
    metric: key of the metric, or `loss`, or `weights`.
    layer: where, from 0; None for what has no layer.
    scale: `log10` where the three numbers are decades, else `linear`.
    expected, measured, tolerance: None where nothing could be compared. It holds where they differ by at most that.
    """

    law: str
    metric: str
    layer: int | None
    scale: Scale
    expected: float | None
    measured: float | None
    tolerance: float | None
    verdict: Verdict
    statement: str
    source: str
    detects: str

    def to_data(self) -> dict[str, Any]:
        """Plain data."""
        return asdict(self)


def verify(spec: RunSpec, result: Result, recomputed: RecomputationFrame | None) -> list[Check]:
    """Every check that applies. `recomputed` comes from `recompute`; None for a stack that was trained."""
    curves = predict(spec)
    checks = [_check_curve(curve, result) for curve in curves] + _check_sums(spec, result)
    checks += [_check_steps(curve, curve.steps_log10, result) for curve in curves if curve.steps_log10 is not None]
    if is_free(spec):
        checks.append(_check_drift(spec, result))
    if recomputed is None or spec.train.steps:
        return checks
    checks += _check_columns(spec, result, recomputed)
    if recomputed.mean_law_error is not None:
        checks.append(_check_mean_law(recomputed.mean_law_error))
    return checks + _check_identities(recomputed)


def to_verdict(checks: Sequence[Check]) -> Verdict:
    """Of all together: `fails` if one does, `holds` if one does and none fails."""
    verdicts = {check.verdict for check in checks}
    return "fails" if "fails" in verdicts else "holds" if "holds" in verdicts else "skipped"


# Laws.


def _check_curve(curve: Curve, result: Result) -> Check:
    if curve.values_log10 is not None:
        measured, value, low, high = (
            result.layers_log10[curve.metric], curve.values_log10, curve.low_log10, curve.high_log10,
        )  # fmt: skip
    else:
        measured, value, low, high = result.layers[curve.metric], curve.values, curve.low, curve.high
    assert low is not None
    assert high is not None
    wide = np.where(measured > value, high - value, value - low)
    known = np.isfinite(measured) & curve.speaks_L
    return compare(curve.law, curve.metric, value, measured, wide, known, curve.holds, curve.source)


def _check_steps(curve: Curve, band: Band, result: Result) -> Check:
    """The change from each layer to the next: narrow where the column itself has wandered far. Shown at the latter."""
    with np.errstate(invalid="ignore"):
        step = np.diff(result.layers_log10[curve.metric], prepend=np.nan)
    value, low, high = (np.concatenate([[0.0], part]) for part in band)
    wide = np.where(step > value, high - value, value - low)
    text = f"{curve.holds} The change from each layer to the next."
    return compare(curve.law, curve.metric, value, step, wide, np.isfinite(step), text, curve.source)


def _check_sums(spec: RunSpec, result: Result) -> list[Check]:
    due = {"h_res_row_sum": is_row_stochastic(spec), "h_res_col_sum": is_doubly_stochastic(spec)}
    wide = 4 * spec.streams * MIXING_EPS[spec.dtype]
    text, every = "Sums to 1 by construction.", np.ones(spec.depth, dtype=bool)
    return [
        compare("sums", key, np.ones_like(result.layers[key]), result.layers[key], wide, every, text, "mHC Eq. 3")
        for key, applies in due.items()
        if applies
    ]


def _check_drift(spec: RunSpec, result: Result) -> Check:
    """The root mean square of all entries of H_res - I: chi-square with as many degrees of freedom as entries."""
    drift = result.matrices["h_res"].astype(np.float64) - np.eye(spec.streams)
    size = np.array([math.sqrt(float((drift**2).mean()))])
    wide = spec.connection.noise * Z * math.sqrt(0.5 / drift.size)
    text = "As initialised, entries of H_res - I have the standard deviation of the drift, over all layers together."
    due, every = np.full(1, spec.connection.noise), np.ones(1, dtype=bool)
    return compare("drift_size", "h_res", due, size, wide, every, text, OWN)


def _check_mean_law(error: float) -> Check:
    text = "In float64, mean_i x'[i] = mean_i x[i] + mean(H_post) F, as columns of H_res sum to 1; relative error."
    every = np.ones(1, dtype=bool)
    return compare("mean_law", "act_rms", np.zeros(1), np.array([error]), 1e-12, every, text, OWN, scale="linear")


# Exact relations.


def _check_identities(recomputed: RecomputationFrame) -> list[Check]:
    errors = {key: np.array(error, dtype=np.float64) for key, error in (recomputed.identities or {}).items()}
    checks = [
        compare(key, metric, np.zeros(len(errors[key])), errors[key], wide, np.isfinite(errors[key]), text, source,
                 scale="linear")
        for key, (metric, wide, text, source) in IDENTITIES.items()
        if key in errors
    ]  # fmt: skip
    if "weights" in errors:
        checks += _check_weights(errors["weights"], errors["weights_spread"])
    return checks


def _check_weights(excess_L: Array, spread_L: Array) -> list[Check]:
    """Of each layer, and of all together, which knows it better."""
    known = np.isfinite(excess_L)
    text = "Squared weights over what the initialisation makes them in the mean, less 1"
    source = "chi-square; He et al. 2015; Glorot & Bengio 2010"
    wide_L = 1e-5 + NormalDist().inv_cdf(1 - FALSE_ALARM / 2 / len(excess_L)) * spread_L
    checks = [compare("weights", "weights", 0 * excess_L, excess_L, wide_L, known, f"{text}.", source, "linear")]
    if known.all():
        mean, wide = excess_L.mean(keepdims=True), 1e-5 + Z * math.sqrt(float((spread_L**2).sum())) / len(spread_L)
        all_text = f"{text}, over all layers together."
        checks.append(compare("weights", "weights", 0 * mean, mean, wide, known[:1], all_text, source, "linear"))
    return checks


# Recomputation.


def _check_columns(spec: RunSpec, result: Result, recomputed: RecomputationFrame) -> list[Check]:
    # None, which stands for what is beyond float64, becomes nan.
    columns, unsure = (
        {key: np.array(column, dtype=np.float64) for key, column in table.items()}
        for table in (recomputed.columns, recomputed.unsure)
    )
    kept = _find_in_range(spec, columns)
    checks = [_check_column(spec, result, key, columns[key], unsure[key], kept[key]) for key in columns]
    return [*checks, _check_loss(spec, result, recomputed, bool(kept["act_rms"].all()))]


def _check_column(spec: RunSpec, result: Result, key: str, again: Array, unsure_L: Array, kept_L: Array) -> Check:
    measured, least = result.layers[key].astype(np.float64), _find_least(spec, key)
    if METRICS[key].scale == "log":
        zero = (measured == 0) & (again == 0)  # Exactly nothing has no logarithm, and agrees.
        again, measured = (np.where(zero, 0.0, log) for log in (_to_log10(again), result.layers_log10[key]))
    unsure_L = SAFETY[spec.dtype] * _accumulate(key, np.nan_to_num(unsure_L))
    wide_L = least + unsure_L
    lost, unclear = int((~kept_L).sum()), int((kept_L & (wide_L > MOST)).sum())
    text = AGAIN
    if lost:
        text += f" {lost} of {spec.depth} layers are left out, beyond the range of {spec.dtype}."
    if unclear:
        text += (
            f" {unclear} of {spec.depth} layers are left out, where the stack makes too much of {spec.dtype} rounding."
        )
    wide = wide_L if again.ndim == 1 else (wide_L[:, None] * np.maximum(1, np.abs(again)))
    kept_L = kept_L & (wide_L <= MOST)
    return compare("recomputation", key, again, measured, wide, kept_L, text, "float64 recomputation")


def _find_least(spec: RunSpec, key: str) -> float:
    """What rounding costs at least; a coarse mapping of dynamic mixing rounds every signal, whatever its own type."""
    least = LEAST[spec.dtype][key]
    return max(least, LEAST[spec.connection.mapping_dtype]["act_rms"]) if spec.maps_coarsely else least


def _accumulate(key: str, unsure_L: Array) -> Array:
    """The most by any layer passed so far, as what is lost once is not found again; a gradient has passed them all."""
    if key in ("grad_rms", "composite_gain_bwd"):
        return np.full_like(unsure_L, unsure_L.max())
    return np.maximum.accumulate(unsure_L)


def _find_in_range(spec: RunSpec, columns: dict[str, Array]) -> dict[str, Array]:
    """Layers (L) of each column to compare: what the run's type can hold, by the recomputation's word and not its own.

    What has left the range on the way up is lost in all later layers, and with them every gradient.
    """
    inside = {key: np.isfinite(column).reshape(spec.depth, -1).all(1) for key, column in columns.items()}
    # Without a norm in front, attention multiplies the state with itself.
    is_squared = spec.block.kind == "transformer" and spec.block.norm_position != "pre"
    for key in SIGNALS:
        held = np.abs(_to_log10(columns[key])) < RANGE[spec.dtype] / (2 if is_squared else 1)
        inside[key] &= held | (columns[key] == 0)
    forward = np.logical_and.accumulate(inside["act_rms"])
    if spec.connection.dynamic:
        # Gradients of coefficients are sums of products of the two: 1e10 is room for the sums, and for what multiplies
        # them on their way back into the state.
        passed = _to_log10(columns["grad_rms"]) + _to_log10(columns["act_rms"]) + 10
        inside["grad_rms"] &= passed < RANGE[spec.dtype]
    backward = np.logical_and.accumulate(inside["grad_rms"][::-1])[::-1] & forward.all()
    for key in ("act_rms", "token_cos", "branch_out_rms"):
        inside[key] &= forward
    return inside | {"grad_rms": backward}


def _check_loss(spec: RunSpec, result: Result, recomputed: RecomputationFrame, is_held: bool) -> Check:
    again, unsure = (np.array([math.nan if n is None else n]) for n in (recomputed.loss, recomputed.loss_unsure))
    size = np.maximum(np.abs(again), 1.0)
    wide = _find_least(spec, "loss") * size + SAFETY[spec.dtype] * unsure
    kept = is_held & (wide <= MOST * size)  # False where either is nan
    return compare("recomputation", "loss", again, np.array([result.loss]), wide, kept, AGAIN, "float64 recomputation")


# Comparisons.


def compare(
    law: str,
    key: str,
    expected: Array,
    measured: Array,
    tolerance: Array | float,
    kept_L: Array,
    statement: str,
    source: str,
    scale: Scale | None = None,
    detects: str | None = None,
) -> Check:
    """Arrays are (L) or (L, n); layers outside `kept_L` are left out, and a measured nan inside it fails."""
    detects = detects or DETECTS[law]
    scale = scale or ("log10" if key in METRICS and METRICS[key].scale == "log" else "linear")
    if not kept_L.any():
        statement = f"{statement} Nothing to compare."
        return Check(law, key, None, scale, None, None, None, "skipped", statement, source, detects)
    wide = np.broadcast_to(tolerance, expected.shape)
    with np.errstate(invalid="ignore", divide="ignore"):
        miss = np.nan_to_num(np.abs(measured - expected) / wide, nan=np.inf, posinf=np.inf)
    miss = np.where(kept_L.reshape(-1, *[1] * (miss.ndim - 1)), miss, -1.0)
    at = np.unravel_index(int(miss.argmax()), miss.shape)
    verdict: Verdict = "holds" if miss[at] <= 1 else "fails"
    due, got, most = (_finite(part[at]) for part in (expected, measured, wide))
    layer = int(at[0]) if len(kept_L) > 1 else None
    return Check(law, key, layer, scale, due, got, most, verdict, statement, source, detects)


def _to_log10(values: Array) -> Array:
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.log10(values)


def _finite(value: Any) -> float | None:
    return float(value) if math.isfinite(value) else None
