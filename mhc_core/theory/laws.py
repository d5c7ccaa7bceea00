"""What theory says of a spec before anything is computed: curves to stand beside measured columns.

A law is listed where its premises hold and nowhere else. All speak of stacks as initialised. Bands hold four standard
deviations over draws of the weights and the input at this width, and what rounding adds: a column leaves one by chance
about once in ten thousand. L layers, n streams, C width.
"""

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from mhc_core.metrics import METRICS
from mhc_core.rng import normal
from mhc_core.spec import RunSpec
from mhc_core.theory.premises import describe_network, is_doubly_stochastic, is_free, is_row_stochastic, is_single
from mhc_core.theory.propagation import Network, Prediction, Propagation

Array = np.ndarray
SIGMAS = 4.0
OWN, MEAN_FIELD = "derived for this program", "Poole et al. 2016; Schoenholz et al. 2017"
TAIL = 3.2e-5  # what lies beyond them on one side
DRAWS = 1024
EPS = {"float32": 2.0**-23, "float64": 2.0**-23, "bfloat16": 2.0**-8}  # in any run, weights are drawn in float32
MIXING_EPS = {"float32": 2.0**-23, "float64": 2.0**-52, "bfloat16": 2.0**-23}


@dataclass(frozen=True)
class Curve:
    """One law beside one metric.

    Attributes
    ----------
    law: key.
    metric: key of the metric that it stands beside.
    values, low, high: (L); the median over draws, and the band. inf where beyond float64.
    values_log10, low_log10, high_log10: the same as logarithms where the metric's scale is log, else None.
    formula, source: as of a metric.
    holds: when it holds, in one sentence.
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

    def to_data(self) -> dict[str, Any]:
        """Plain data for a frame, to eight digits; None where beyond float64."""
        named = {name: getattr(self, name) for name in self.__dataclass_fields__}
        return {key: _to_list(part) if isinstance(part, np.ndarray) else part for key, part in named.items()}


def predict(spec: RunSpec) -> list[Curve]:
    """Every curve that applies to the spec; [] where theory is silent."""
    curves = _predict_gains(spec)
    if spec.block.norm_position == "post" and is_single(spec):
        curves.append(_post_norm(spec))
    network = describe_network(spec)
    if network is not None:
        curves += _predict_signals(spec, network)
    return curves


# Mixing.


def _predict_gains(spec: RunSpec) -> list[Curve]:
    ones = np.ones(spec.depth)
    slack = 4 * spec.streams * MIXING_EPS[spec.dtype] * np.arange(1, spec.depth + 1)
    if is_doubly_stochastic(spec):
        text = "At every step, as rows and columns of every H_res sum to 1 by construction."
        formula = "max_i |sum_j M[i,j]| = 1, also of the transpose"
        keys = {"composite_gain_fwd": slack, "composite_gain_bwd": slack[::-1]}
        return [_linear("doubly_stochastic", key, ones, wide, formula, OWN, text)
                for key, wide in keys.items()]  # fmt: skip
    if is_row_stochastic(spec):
        text = "At every step, as Sinkhorn ends on the rows: each sums to 1, however few the rounds."
        formula = "max_i |sum_j M[i,j]| = 1"
        return [_linear("rows_exact", "composite_gain_fwd", ones, slack, formula, "mHC Eq. 8-9", text)]
    return _predict_drift(spec) if is_free(spec) else []


def _predict_drift(spec: RunSpec) -> list[Curve]:
    """Products of I + s G: ln |M 1| is a random walk; the curve and its band are those of a fixed sample of it."""
    logs = [part / np.log(10) for part in sample_drift_gain(spec.streams, spec.connection.noise, spec.depth)]
    formula = "median of max_i |(M 1)_i|, M a product of I + s G; E |M x|^2 = (1 + n s^2)^l |x|^2 is far above it"
    text = (
        "As initialised, where the mixing is I plus independent Gaussian noise of standard deviation s in every layer."
    )
    # Backward at l is the product of L - l + 1 transposes, which has the same law.
    return [
        _from_logs("drift_gain", "composite_gain_fwd", logs, formula, OWN, text),
        _from_logs("drift_gain", "composite_gain_bwd", [log[::-1] for log in logs], formula, OWN, text),
    ]


@lru_cache(maxsize=64)
def sample_drift_gain(n: int, s: float, layers: int) -> tuple[Array, Array, Array]:
    """Median, low and high of ln max_i |(M_l 1)_i|, (L) each, M_l a product of l matrices I + s G, n >= 2.

    Given v, (I + s G) v is v + s |v| g with g standard normal in n dimensions, so vectors are drawn and not matrices.
    The law is skewed in the first layers. Its tails are continued from the first and the tenth percentile as
    exponentials, to the probability of four standard deviations.
    """
    draws = normal(0, f"theory.drift.{n}", -1, layers, DRAWS, n).numpy()
    v, log_size = np.full((DRAWS, n), n**-0.5), np.full(DRAWS, np.log(n) / 2)
    gains = np.empty((layers, DRAWS))
    for layer in range(layers):
        v = v + s * draws[layer]
        size = np.sqrt((v * v).sum(1))
        v /= size[:, None]
        log_size = log_size + np.log(size)
        gains[layer] = log_size + np.log(np.abs(v).max(1))
    p1, p10, median, p90, p99 = np.quantile(gains, [0.01, 0.1, 0.5, 0.9, 0.99], axis=1)
    beyond = math.log(0.01 / TAIL) / math.log(10)
    return median, p1 - beyond * (p10 - p1), p99 + beyond * (p99 - p90)


# Signals.


def _post_norm(spec: RunSpec) -> Curve:
    text = "At every step, as the norm after the addition sets the size of each sample."
    slack = np.full(spec.depth, 2 * EPS[spec.dtype])
    return _logarithmic("post_norm", "act_rms", np.zeros(spec.depth), slack, "rms(m_l) = 1", OWN, text)


def _predict_signals(spec: RunSpec, network: Network) -> list[Curve]:
    theory = Propagation(network)
    rounding = 4 * EPS[spec.dtype] * np.arange(1, spec.depth + 1)
    name, premise = _name_law(spec, network)
    curves = []
    if network.norm != "post":
        formula = _size_formula(network)
        curves.append(_of_square(name, "act_rms", theory.size(), rounding, formula, premise))
    if network.skip == 0 and spec.input.kind != "text":
        curves.append(_of_cosine(theory.cosine(), rounding, network, premise))
    if spec.input.kind in ("gaussian", "correlated"):
        found = theory.gradient()
        start = -2 * np.log(network.samples)  # d loss / d output is N(0, 1) over the number of samples.
        found = Prediction(found.mean + start, found.variance, found.doubt)
        curves.append(_of_square(name, "grad_rms", found, rounding[::-1], _gradient_formula(network), premise))
    return curves


def _name_law(spec: RunSpec, network: Network) -> tuple[str, str]:
    if not network.scale_L.any():
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
    if not network.scale_L.any():
        return "E m_l^2 = E m_0^2"
    if network.skip == 0:
        return "q' = g_2 E[phi(sqrt(g_1 q) z)^2]"
    if network.norm == "pre":
        return "E m_l^2 = 1 + sum_k a_k^2 E F_k^2"
    return "E m_{l+1}^2 = E m_l^2 + a^2 E F^2"


def _gradient_formula(network: Network) -> str:
    if not network.scale_L.any():
        return "rms(g_l) = rms(g_L)"
    chi = "chi = a^2 g_1 g_2 E[phi'^2]"
    if network.skip == 0 and network.norm == "none":
        return f"E g_{{l-1}}^2 = chi E g_l^2, {chi}"
    if network.norm == "none":
        return f"E g_{{l-1}}^2 = (1 + chi) E g_l^2, {chi}"
    if network.norm == "pre":
        return f"E g_{{l-1}}^2 = ({network.skip:g} + chi / E m_{{l-1}}^2) E g_l^2, g_L^2 ~ 1 / E m_L^2, {chi}"
    return f"E g_{{l-1}}^2 = ({network.skip:g} + chi) / ({network.skip:g} + a^2 E F^2) E g_l^2, {chi}"


def _of_square(law: str, key: str, found: Prediction, rounding: Array, formula: str, premise: str) -> Curve:
    """From the logarithm of a mean square to a root mean square."""
    wide = (SIGMAS * np.sqrt(found.variance) + found.doubt) / 2 + rounding
    return _logarithmic(law, key, found.mean / 2, wide, formula, MEAN_FIELD, premise)


def _of_cosine(found: Prediction, rounding: Array, network: Network, premise: str) -> Curve:
    wide = SIGMAS * np.sqrt(found.variance) + found.doubt + rounding
    formula = "c' = E[phi(z_1) phi(z_2)] / E[phi(z)^2], z_1 and z_2 of correlation c"
    source = MEAN_FIELD
    if network.activation == "relu":
        formula, source = "c' = (sqrt(1 - c^2) + c (pi - arccos c)) / pi", "Cho & Saul 2009"
    return _linear("correlation_map", "token_cos", found.mean, wide, formula, source, premise)


# Curves.


def _logarithmic(law: str, key: str, ln: Array, wide: Array, formula: str, source: str, holds: str) -> Curve:
    logs = [part / np.log(10) for part in (ln, ln - wide, ln + wide)]
    return _from_logs(law, key, logs, formula, source, holds)


def _from_logs(law: str, key: str, logs: list[Array], formula: str, source: str, holds: str) -> Curve:
    """From log10 of the value and of the ends of its band."""
    with np.errstate(over="ignore", under="ignore"):
        values = [10**part for part in logs]
    return Curve(law, key, values[0], values[1], values[2], logs[0], logs[1], logs[2], formula, source, holds)


def _linear(law: str, key: str, values: Array, wide: Array, formula: str, source: str, holds: str) -> Curve:
    if METRICS[key].scale == "log":
        return _logarithmic(law, key, np.log(values), wide, formula, source, holds)
    return Curve(law, key, values, values - wide, values + wide, None, None, None, formula, source, holds)


def _to_list(values: Array) -> list[float | None]:
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        scale = 10.0 ** (7 - np.floor(np.log10(np.abs(values))))
        rounded = np.where((values == 0) | ~np.isfinite(scale), values, np.round(values * scale) / scale)
    return [value if math.isfinite(value) else None for value in rounded.tolist()]
