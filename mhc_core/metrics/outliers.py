"""How far the largest entries of a stream stand out: massive activations, and the weight of the tails.

Shapes: K layers measured together, n streams, N samples, C width of a stream.
"""

from typing import TYPE_CHECKING

import numpy as np

from mhc_core.metric import OURS, Array, Chart, LayerBlock, LayerMetric, Metric, ReferenceLayer

if TYPE_CHECKING:
    import torch

    from mhc_core.spec import RunSpec


def measure_peak(block: LayerBlock) -> "torch.Tensor":
    """Measure the largest |entry| of each stream over its root mean square, (K, n)."""
    second_Kn, _ = block.scaled_moments
    return 1 / second_Kn.sqrt()


def measure_kurtosis(block: LayerBlock) -> "torch.Tensor":
    """Measure the mean fourth power of each stream's entries over the squared mean square, (K, n)."""
    second_Kn, fourth_Kn = block.scaled_moments
    return fourth_Kn / second_Kn.square()


def compute_peak(spec: "RunSpec", layer: ReferenceLayer) -> Array:
    """Compute max |x| / rms(x) of each stream in numpy, (n)."""
    size = np.abs(layer.x_nNC).reshape(len(layer.x_nNC), -1)
    largest = size.max(1)
    return largest / (largest * np.linalg.norm(size / largest[:, None], axis=1) / np.sqrt(size.shape[1]))


def compute_kurtosis(spec: "RunSpec", layer: ReferenceLayer) -> Array:
    """Compute E x^4 / (E x^2)^2 of each stream in numpy, (n)."""
    flat = layer.x_nNC.reshape(len(layer.x_nNC), -1)
    scaled = flat / np.abs(flat).max(1, keepdims=True)
    found: Array = np.mean(scaled**4, 1) / np.mean(scaled**2, 1) ** 2
    return found


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
            precision=(1e-4, 0.0),  # of one entry, where others are of means
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
)
