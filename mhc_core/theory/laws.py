"""The laws of a spec: curves with bands, to compare with measured columns.

A law is listed only if its premises hold. `Curve.holds` says whether it holds at every training step, or only as
initialised. A band covers a whole column, over draws of the weights and the input at this width, and includes rounding
errors; `bands` says how often a column that obeys its law leaves it. In layers where the band is too wide to be useful,
the curve has a gap. L layers, n streams.
"""

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from mhc_core.spec import BYTE_INPUTS, RunSpec
from mhc_core.theory.bands import MAX_COSINE, MAX_DECADES, Band, Walk
from mhc_core.theory.drift import find_drift_walk
from mhc_core.theory.gaussian import Array
from mhc_core.theory.network import Network
from mhc_core.theory.premises import (
    UnmetPremise,
    describe_network,
    find_unmet_premises,
    has_unit_row_sums,
    has_unit_sums,
    is_free,
    is_single,
)
from mhc_core.theory.signals import find_signal_bands

OWN, MEAN_FIELD = "derived for this program", "Poole et al. 2016; Schoenholz et al. 2017"
EPS = {"float32": 2.0**-23, "float64": 2.0**-23, "bfloat16": 2.0**-8}  # weights of float64 runs are drawn in float32
MIXING_EPS = {"float32": 2.0**-23, "float64": 2.0**-52, "bfloat16": 2.0**-23}


@dataclass(frozen=True)
class Curve:
    """One law for one metric.

    Attributes
    ----------
    law: key of the law.
    metric: key of the metric that it predicts.
    values, low, high: (L); the median over draws, and the ends of the band. inf if beyond the range of float64; nan if
        the band would be wider than a factor of 100, or than 1 for a cosine, because theory is too weak there.
    values_log10, low_log10, high_log10: their logarithms if the metric's scale is log, else None.
    formula, source: as in a metric.
    holds: a sentence on when the law holds, and one on the layers in which it is too weak.
    steps_log10: band (L - 1) of the change of the logarithm from each layer to the next; None if unknown.
    """

    law: str
    metric: str
    values: Array
    low: Array
    high: Array
    values_log10: Array | None
    low_log10: Array | None
    high_log10: Array | None
    formula: str
    source: str
    holds: str
    steps_log10: Band | None = None

    @property
    def speaks_L(self) -> Array:
        """Return for each layer whether the band of this law is narrow enough to be useful, (L)."""
        return ~np.isnan(self.values)

    def to_data(self) -> dict[str, Any]:
        """Return the curve as plain data for a frame, rounded to eight digits. Values that are inf or nan are None."""
        named = {name: getattr(self, name) for name in self.__dataclass_fields__ if name != "steps_log10"}
        return {key: _to_list(part) if isinstance(part, np.ndarray) else part for key, part in named.items()}


def predict(spec: RunSpec) -> list[Curve]:
    """Return all curves that theory predicts for a spec; [] if no law applies."""
    return [curve for curve in _predict_curves(spec) if curve.speaks_L.any()]


def explain_missing_laws(spec: RunSpec) -> dict[str, UnmetPremise]:
    """Return, for each metric that no law predicts for this spec, the premise that does not hold."""
    weak = {curve.metric: _too_weak(spec, curve) for curve in _predict_curves(spec) if not curve.speaks_L.any()}
    return find_unmet_premises(spec) | weak


def _too_weak(spec: RunSpec, curve: Curve) -> UnmetPremise:
    """Return the unmet premise of a law whose band is too wide: less noise, or more width."""
    wanted = "{}, so that the band spans less than a factor of 100 in some layer"
    if curve.law == "drift_gain":
        return UnmetPremise("connection.noise", spec.connection.noise, wanted.format("less"))
    return UnmetPremise("width", spec.width, wanted.format("more"))


def _predict_curves(spec: RunSpec) -> list[Curve]:
    """Return the curves of all laws that apply to a spec, including those with bands that are too wide to be useful."""
    if spec.edits:
        return []
    curves = _predict_gains(spec)
    if spec.block.norm_position == "post" and is_single(spec):
        curves.append(_post_norm(spec))
    network = describe_network(spec)
    if network is not None:
        curves += _predict_signals(spec, network)
    return curves


# Mixing.


def _predict_gains(spec: RunSpec) -> list[Curve]:
    """Return the laws of the composite gains: from sums of H_res that are 1, or from the drift of free mixing."""
    zeros = np.zeros(spec.depth)  # logarithms of gains of 1
    slack = 4 * spec.streams * MIXING_EPS[spec.dtype] * np.arange(1, spec.depth + 1)
    if has_unit_sums(spec):
        text = "At every step, as rows and columns of every H_res sum to 1 by construction."
        formula = "max_i |sum_j M[i,j]| = 1, also of the transpose"
        keys = {"composite_gain_fwd": slack, "composite_gain_bwd": slack[::-1]}
        law = "unit_sums" if spec.family.signed and spec.family.has_unit_sums else "doubly_stochastic"
        return [_from_logarithm(law, key, zeros, wide, formula, OWN, text)
                for key, wide in keys.items()]  # fmt: skip
    if has_unit_row_sums(spec):
        formula = "max_i |sum_j M[i,j]| = 1"
        if spec.family.iterates:
            text = "At every step, as Sinkhorn ends on the rows: each sums to 1, however few the rounds."
            return [_from_logarithm("rows_exact", "composite_gain_fwd", zeros, slack, formula, "mHC Eq. 8-9", text)]
        text = "At every step, as rows of every H_res sum to 1 by construction."
        return [_from_logarithm("rows_exact", "composite_gain_fwd", zeros, slack, formula, OWN, text)]
    return _predict_drift(spec) if is_free(spec) else []


def _predict_drift(spec: RunSpec) -> list[Curve]:
    """Return the laws of the gains of unconstrained mixing with drift: products of I + s G, from a fixed sample."""
    walk = find_drift_walk(spec.streams, spec.connection.noise, spec.depth)
    formula = "median of max_i |(M 1)_i|, M a product of I + s G; E |M x|^2 = (1 + n s^2)^l |x|^2 is far above it"
    text = (
        "As initialised, where the mixing is I plus independent Gaussian noise of standard deviation s in every layer."
    )
    # The backward gain at l is that of a product of L - l + 1 transposes, which has the same distribution.
    steps = walk.steps and Band(-walk.steps.median[::-1], -walk.steps.high[::-1], -walk.steps.low[::-1])
    backward = Walk(Band(*(part[::-1] for part in walk.whole)), steps)
    return [
        _of_walk("drift_gain", key, found, formula, OWN, text)
        for key, found in (("composite_gain_fwd", walk), ("composite_gain_bwd", backward))
    ]


# Signals.


def _post_norm(spec: RunSpec) -> Curve:
    """Return the law of activations in post-norm stacks: rms 1 after each layer."""
    text = "At every step, as the norm after the addition sets the size of each sample."
    slack = np.full(spec.depth, 2 * EPS[spec.dtype])
    return _from_logarithm("post_norm", "act_rms", np.zeros(spec.depth), slack, "rms(m_l) = 1", OWN, text)


def _predict_signals(spec: RunSpec, network: Network) -> list[Curve]:
    """Return the laws of activation, gradient and cosine, from mean field theory."""
    bands = find_signal_bands(network)
    rounding = 4 * EPS[spec.dtype] * np.arange(1, spec.depth + 1)
    name, premise = _name_law(spec, network)
    curves = []
    if network.norm != "post":
        size = _widen_walk(bands.size, rounding)
        curves.append(_of_walk(name, "act_rms", size, _size_formula(network), MEAN_FIELD, premise))
    if bands.cosine is not None and spec.input.kind not in BYTE_INPUTS:
        curves.append(_of_cosine(bands.cosine, rounding, network, premise))
    if spec.input.kind in ("gaussian", "correlated"):
        # The gradient at the output is N(0, 1) divided by the number of samples.
        found = _widen_walk(bands.gradient, rounding[::-1])
        gradient = found._replace(whole=Band(*(part - math.log(network.samples) for part in found.whole)))
        curves.append(_of_walk(name, "grad_rms", gradient, _gradient_formula(network), MEAN_FIELD, premise))
    return curves


def _widen_band(band: Band, wide: Array) -> Band:
    return Band(band.median, band.low - wide, band.high + wide)


def _widen_walk(walk: Walk, rounding: Array) -> Walk:
    return Walk(_widen_band(walk.whole, rounding), walk.steps and _widen_band(walk.steps, rounding[1:] + rounding[:-1]))


def _name_law(spec: RunSpec, network: Network) -> tuple[str, str]:
    """Return the key of the mean field law for this network, and the sentence on when it holds."""
    if not any(network.scale_L):
        return "rezero", "As initialised, where every branch starts at zero and the stack is the identity."
    width = "As initialised, for wide layers without bias,"
    inside = f"{network.activation} and {spec.block.weights} weights"
    if network.skip == 0:
        return "mean_field", f"{width} {inside}, nothing passing them by."
    where = {"pre": "a norm before each branch", "post": "a norm after each addition", "none": "no norm"}[network.norm]
    return (
        f"residual_{network.norm}",
        f"{width} {inside}, {where}, and streams that stay alike where there are several.",
    )


def _size_formula(network: Network) -> str:
    """Return the formula of the law for activations, as text."""
    if not any(network.scale_L):
        return "E m_l^2 = E m_0^2"
    if network.skip == 0:
        return "q' = g_2 E[phi(sqrt(g_1 q) z)^2]"
    if network.norm == "pre":
        return "E m_l^2 = 1 + sum_k a_k^2 E F_k^2"
    return "E m_{l+1}^2 = E m_l^2 + a^2 E F^2"


def _gradient_formula(network: Network) -> str:
    """Return the formula of the law for gradients, as text."""
    if not any(network.scale_L):
        return "rms(g_l) = rms(g_L)"
    chi = "chi = a^2 g_1 g_2 E[phi'^2]"
    if network.skip == 0 and network.norm == "none":
        return f"E g_{{l-1}}^2 = chi E g_l^2, {chi}"
    if network.norm == "none":
        return f"E g_{{l-1}}^2 = (1 + chi) E g_l^2, {chi}"
    if network.norm == "pre":
        return f"E g_{{l-1}}^2 = ({network.skip:g} + chi / E m_{{l-1}}^2) E g_l^2, g_L^2 ~ 1 / E m_L^2, {chi}"
    return f"E g_{{l-1}}^2 = ({network.skip:g} + chi) / ({network.skip:g} + a^2 E F^2) E g_l^2, {chi}"


def _of_cosine(band: Band, rounding: Array, network: Network, premise: str) -> Curve:
    """Return the law of the cosine of tokens, from its band."""
    formula = "c' = E[phi(z_1) phi(z_2)] / E[phi(z)^2], z_1 and z_2 of correlation c"
    source = MEAN_FIELD
    if network.activation == "relu":
        formula, source = "c' = (sqrt(1 - c^2) + c (pi - arccos c)) / pi", "Cho & Saul 2009"
    if network.correlation >= 1:  # Samples that are the same stay the same, until rounding grows in a chaotic stack.
        band = Band(np.ones_like(band.median), band.low, np.ones_like(band.high))
    # A measured cosine can be above 1 by rounding, so the ends are clipped before rounding is added.
    band = _widen_band(Band(band.median, np.maximum(band.low, -1.0), np.minimum(band.high, 1.0)), rounding)
    return _without_weak(Curve("correlation_map", "token_cos", *band, None, None, None, formula, source, premise))


# Curves.


def _from_logarithm(law: str, key: str, ln: Array, wide: Array, formula: str, source: str, holds: str) -> Curve:
    return _from_logs(law, key, Band(ln, ln - wide, ln + wide), formula, source, holds)


def _of_walk(law: str, key: str, walk: Walk, formula: str, source: str, holds: str) -> Curve:
    """Return the curve of a law whose logarithm is a random walk over layers, with the band of its steps."""
    steps = walk.steps and Band(*(part / np.log(10) for part in walk.steps))
    return replace(_from_logs(law, key, walk.whole, formula, source, holds), steps_log10=steps)


def _from_logs(law: str, key: str, ln: Band, formula: str, source: str, holds: str) -> Curve:
    """Return the curve of a law, from the natural logarithms of its median and of both ends of its band."""
    logs = Band(*(part / np.log(10) for part in ln))
    with np.errstate(over="ignore", under="ignore"):
        values = Band(*(10**part for part in logs))
    return _without_weak(Curve(law, key, *values, *logs, formula, source, holds))


def _without_weak(curve: Curve) -> Curve:
    """Return the curve with nan in layers where its band is too wide, and with a sentence that names these layers."""
    if curve.high_log10 is None or curve.low_log10 is None:
        is_narrow, limit = curve.high - curve.low <= MAX_COSINE, f"{MAX_COSINE:g}"
    else:
        is_narrow, limit = curve.high_log10 - curve.low_log10 <= MAX_DECADES, f"a factor of {10**MAX_DECADES:g}"
    if is_narrow.all():
        return curve
    kept: dict[str, Any] = {}
    for name in ("values", "low", "high", "values_log10", "low_log10", "high_log10"):
        part = getattr(curve, name)
        kept[name] = None if part is None else np.where(is_narrow, part, np.nan)
    layers = np.flatnonzero(is_narrow)
    if len(layers):
        where = f"layers {layers[0] + 1} to {layers[-1] + 1}" if len(layers) > 1 else f"layer {layers[0] + 1}"
        kept["holds"] = f"{curve.holds} Outside {where} its band is wider than {limit}: theory is too weak there."
    return replace(curve, **kept)


def _to_list(values: Array) -> list[float | None]:
    """Return values rounded to eight digits, with None for those that are not finite."""
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        scale = 10.0 ** (7 - np.floor(np.log10(np.abs(values))))
        rounded = np.where((values == 0) | ~np.isfinite(scale), values, np.round(values * scale) / scale)
    return [value if math.isfinite(value) else None for value in rounded.tolist()]
