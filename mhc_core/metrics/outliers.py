"""Metrics of massive activations: peak and kurtosis of the entries of each stream, and of single tokens.

Shapes: K layers measured together, n streams, N samples, C width of a stream.
"""

from typing import TYPE_CHECKING

import numpy as np

from mhc_core.metric import OURS, Array, Chart, LayerBlock, LayerMetric, Metric, ReferenceLayer

if TYPE_CHECKING:
    import torch

    from mhc_core.spec import RunSpec

# If the rms of a token is below this, relative to the largest |entry| of its stream, its fourth powers underflow in
# float64, and the token has no value.
SILENT = 1e-75


def measure_peak(block: LayerBlock) -> "torch.Tensor":
    """Measure the largest |entry| of each stream over its root mean square, (K, n)."""
    moments = block.scaled_moments
    return (moments.largest_KnN.amax(2) / moments.second_KnN.mean(2)).sqrt()


def measure_kurtosis(block: LayerBlock) -> "torch.Tensor":
    """Measure the mean fourth power of each stream's entries over the squared mean square, (K, n)."""
    moments = block.scaled_moments
    return moments.fourth_KnN.mean(2) / moments.second_KnN.mean(2).square()


def measure_token_peak(block: LayerBlock) -> "torch.Tensor":
    """Measure the largest |entry| of a token over the token's root mean square, at the worst token, (K, n)."""
    moments = block.scaled_moments
    return _pick_worst((moments.largest_KnN / moments.second_KnN).sqrt(), moments.second_KnN)


def measure_token_kurtosis(block: LayerBlock) -> "torch.Tensor":
    """Measure the mean fourth power of a token's entries over their squared mean square, at the worst token, (K, n)."""
    moments = block.scaled_moments
    return _pick_worst(moments.fourth_KnN / moments.second_KnN.square(), moments.second_KnN)


def _pick_worst(value_KnN: "torch.Tensor", second_KnN: "torch.Tensor") -> "torch.Tensor":
    """Return the largest value over tokens that are not silent, (K, n); nan if all are silent or one is not finite."""
    silent_KnN = second_KnN < SILENT**2
    return value_KnN.masked_fill(silent_KnN, 0).amax(2).masked_fill_(silent_KnN.all(2), np.nan)


def compute_peak(spec: "RunSpec", layer: ReferenceLayer) -> Array:
    """Compute max |x| / rms(x) of each stream in numpy, (n)."""
    size = np.abs(layer.x_nNC).reshape(len(layer.x_nNC), -1)
    largest = size.max(1)
    return largest / (largest * np.linalg.norm(size / largest[:, None], axis=1) / np.sqrt(size.shape[1]))


def compute_kurtosis(spec: "RunSpec", layer: ReferenceLayer) -> Array:
    """Compute E x^4 / (E x^2)^2 of each stream in numpy, (n)."""
    flat = layer.x_nNC.reshape(len(layer.x_nNC), -1)
    scaled = flat / np.abs(flat).max(1, keepdims=True)
    return np.mean(scaled**4, 1) / np.mean(scaled**2, 1) ** 2


def compute_token_peak(spec: "RunSpec", layer: ReferenceLayer) -> Array:
    """Compute max_t (max_c |x[t,c]| / rms_c x[t,c]) of each stream in numpy, (n)."""
    return np.array([max(1 / _rms_of_rows(rows), default=np.nan) for rows in map(_scale_tokens, layer.x_nNC)])


def compute_token_kurtosis(spec: "RunSpec", layer: ReferenceLayer) -> Array:
    """Compute max_t E_c x[t,c]^4 / (E_c x[t,c]^2)^2 of each stream in numpy, (n)."""
    found = [(rows**4).mean(1) / _rms_of_rows(rows) ** 4 for rows in map(_scale_tokens, layer.x_nNC)]
    return np.array([max(values, default=np.nan) for values in found])


def _scale_tokens(x_NC: Array) -> Array:
    """Return the tokens of a stream that are not silent, each divided by its largest |entry|."""
    largest_N = np.abs(x_NC).max(1)
    signal = largest_N > 0
    rows = x_NC[signal] / largest_N[signal, None]
    return rows[_rms_of_rows(rows) * (largest_N[signal] / largest_N.max()) >= SILENT]


def _rms_of_rows(rows: Array) -> Array:
    """Return the root mean square of each row."""
    return np.sqrt((rows**2).mean(1))


METRICS = (
    LayerMetric(
        metric=Metric(
            key="act_peak",
            title="Peak of each stream",
            unit="peak / rms",
            scale="log",
            shape="Ln",
            frame="forward",
            meaning="Largest entry of each stream over its root mean square, of all tokens together: large where "
            "single features of single tokens stand out.",
            formula="max |x_l[i]| / sqrt(mean x_l[i]^2)",
            source=OURS,
            precision=(1e-4, 0.0),  # for one entry; other values are means
        ),
        measure=measure_peak,
        reference=compute_peak,
        chart=Chart(
            reading="Of N C Gaussian numbers the peak is about √(2 ln N C) times their rms. It is larger where few "
            "features of few tokens have grown far beyond the others.",
            symbol="max |x_l[i]| / rms(x_l[i])",
            group="mixing",
            view_of="streams",
            label="peak",
        ),
    ),
    LayerMetric(
        metric=Metric(
            key="act_kurtosis",
            title="Kurtosis of each stream",
            unit="kurtosis",
            scale="linear",
            shape="Ln",
            frame="forward",
            meaning="Mean fourth power of each stream's entries over their squared mean square, of all tokens "
            "together: 3 for Gaussian numbers, N C where one entry is everything.",
            formula="mean x_l[i]^4 / (mean x_l[i]^2)^2",
            source=OURS,
            precision=(1e-5, 0.0),
        ),
        measure=measure_kurtosis,
        reference=compute_kurtosis,
        chart=Chart(
            reading="3 is a Gaussian stream. Above it, few entries have most of the signal.",
            symbol="E x^4 / (E x^2)^2",
            group="mixing",
            view_of="streams",
            label="kurtosis",
            include=(3.0,),
        ),
    ),
    LayerMetric(
        metric=Metric(
            key="act_token_peak",
            title="Peak of the worst token in each stream",
            unit="peak / rms",
            scale="log",
            shape="Ln",
            frame="forward",
            meaning="Largest entry of one token over the root mean square of the same token, in each stream, at the "
            "token where it is largest: √C where one feature of that token is everything.",
            formula="max_t (max_c |x_l[i,t,c]| / sqrt(mean_c x_l[i,t,c]^2))",
            source=OURS,
            precision=(1e-4, 0.0),
        ),
        measure=measure_token_peak,
        reference=compute_token_peak,
        chart=Chart(
            reading="A massive activation makes the largest features of its token stand out among the others. Where "
            "“peak” is large and this is small, a whole token has grown and none of its features.",
            symbol="max_t max_c |x| / rms_c(x)",
            group="mixing",
            view_of="streams",
            label="token peak",
        ),
    ),
    LayerMetric(
        metric=Metric(
            key="act_token_kurtosis",
            title="Kurtosis of the worst token in each stream",
            unit="kurtosis",
            scale="linear",
            shape="Ln",
            frame="forward",
            meaning="Mean fourth power of one token's entries over their squared mean square, in each stream, at the "
            "token where it is largest: 3 for Gaussian numbers, C where one feature is everything.",
            formula="max_t (mean_c x_l[i,t,c]^4 / (mean_c x_l[i,t,c]^2)^2)",
            source=OURS,
            precision=(1e-4, 0.0),  # of one token, whose largest entries count with their fourth power
        ),
        measure=measure_token_kurtosis,
        reference=compute_token_kurtosis,
        chart=Chart(
            reading="The largest value of many tokens is above 3 even where all entries are Gaussian.",
            symbol="max_t E_c x^4 / (E_c x^2)^2",
            group="mixing",
            view_of="streams",
            label="token kurtosis",
            include=(3.0,),
        ),
    ),
)
