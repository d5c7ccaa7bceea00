"""Metrics of the gates with which a layer reads single features of the streams, in connections that have them.

A branch reads sum_i w[i] * x[i]. The gates are the weights relative to the mean of streams that are normalised to rms
1: G[i] = n rms(x[i]) w[i], so that u = 1/n sum_i G[i] * x[i] / rms(x[i]). They do not depend on the size of a stream.
Except for the epsilon of its norm, G is what `mhc_core/layers/gated.py` calls g.

Shapes: K layers measured together, n streams, N samples, C features that `pick_features` keeps of each stream.
"""

from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from mhc_core.metric import (
    MAX_FEATURES,
    OURS,
    Array,
    Chart,
    ChartView,
    LayerBlock,
    LayerMetric,
    Metric,
    ReferenceLayer,
    pick_features,
)

if TYPE_CHECKING:
    import torch

    from mhc_core.spec import RunSpec


def measure_spread(block: LayerBlock) -> "torch.Tensor":
    """Measure the standard deviation over features of each stream's weights, divided by their mean and averaged over
    samples, (K, n).
    """
    import torch

    weights = [layer.double() for layer in block.list_features()]
    return torch.stack([(layer.std(-1, correction=0) / layer.mean(-1)).mean(0) for layer in weights])


def compute_spread(spec: "RunSpec", layer: ReferenceLayer) -> Array:
    """Compute sqrt(E w^2 / (E w)^2 - 1) of each sample and stream in numpy, averaged over samples, (n)."""
    weights = layer.features
    centred = weights / weights.mean(-1, keepdims=True) - 1
    return np.sqrt((centred**2).mean(-1)).mean(0)


def measure_gates(block: LayerBlock, *, is_spread: bool) -> "torch.Tensor":
    """Measure the mean over samples, or the standard deviation, of the gates of the kept features, (K, n, C)."""
    import torch

    return torch.stack([one.std(0, correction=0) if is_spread else one.mean(0) for one in block.gates])


def compute_gates(spec: "RunSpec", layer: ReferenceLayer, *, is_spread: bool) -> Array:
    """Compute mean or spread over samples of the gates n rms(x) w of the kept features, (n, C), in numpy for Verify."""
    x_nNC = layer.entered_nNC
    sizes_nN1 = np.sqrt((x_nNC * x_nNC).sum(2, keepdims=True) / spec.width)
    gates_NnC = (spec.streams * sizes_nN1).swapaxes(0, 1) * layer.features
    kept = gates_NnC[:, :, pick_features(spec.width, spec.streams)]
    mean: Array = kept.sum(0) / len(kept)
    return np.sqrt(((kept - mean) ** 2).sum(0) / len(kept)) if is_spread else mean


ABSENT = "No gates: layers read whole streams."
FORMULA = "G[i,c] = n rms(x[i]) w[i,c], u = sum_i w[i] * x[i]"

METRICS = (
    LayerMetric(
        metric=Metric(
            key="gate_spread",
            title="Spread of gates",
            unit="spread / mean",
            scale="linear",
            shape="Ln",
            frame="forward",
            meaning="How much the weights of one stream's features differ in what the layer reads, relative to their "
            "mean; 0 where the layer reads whole streams. Only of connections with a gate for each feature.",
            formula="mean over samples of std_c(w[i,c]) / mean_c(w[i,c])",
            source=OURS,
            precision=(1e-5, 1e-6),
        ),
        measure=measure_spread,
        reference=compute_spread,
        chart=Chart(
            reading="0: all features of a stream have one weight, as with H_pre. 1: the weights vary as much as they "
            "are large, so that each layer reads features of its own.",
            symbol="std w[i] / mean w[i]",
            group="mixing",
            view_of="streams",
            label="gates",
            absent=ABSENT,
            include=(0.0,),
        ),
    ),
    LayerMetric(
        metric=Metric(
            key="gates",
            title="Gates",
            unit="mean over tokens",
            scale="linear",
            shape="LnC",
            frame="forward",
            meaning="The gate with which each layer reads each feature of each stream: 1 reads it in full, 0 not at "
            "all. All alike, as at the start (about 1/2): layers read whole streams. At most "
            f"{MAX_FEATURES} features are shown, evenly spaced.",
            formula=f"mean over samples of {FORMULA}",
            source=OURS,
            table="matrices",
            precision=(1e-5, 1e-6),
        ),
        measure=partial(measure_gates, is_spread=False),
        reference=partial(compute_gates, is_spread=False),
        chart=Chart(
            reading="A column is a layer, a band of rows a stream, and a row one of its features. A row of one colour: "
            "all layers read this feature alike. A column of one colour: the layer reads all features alike. If bands "
            "differ, layers prefer a stream. Each stream counts as having the size 1. Of a recorded model it is the "
            "gate itself, without a learned gain of the norm before it.",
            symbol="G_l[i,c]",
            group="mixing",
            absent=ABSENT,
            is_offered_without=False,
            build="mhc_core.figures.gates:build_gates",
            label="from 0 to 1",
            more=(
                ChartView(
                    key="gates_range",
                    label="own range",
                    meaning="The same gates, with colours from the least to the largest of them: also of gates that "
                    "have hardly moved, as after few steps of training. The numbers are next to the colours.",
                    build="mhc_core.figures.gates:build_own_range",
                ),
            ),
        ),
    ),
    LayerMetric(
        metric=Metric(
            key="gates_std",
            title="Gates, spread over tokens",
            unit="standard deviation",
            scale="linear",
            shape="LnC",
            frame="forward",
            meaning="How much the gate of each feature of each stream differs between tokens. 0: all tokens are read "
            "alike.",
            formula=f"standard deviation over samples of {FORMULA}",
            source=OURS,
            table="matrices",
            precision=(1e-4, 1e-6),
        ),
        measure=partial(measure_gates, is_spread=True),
        reference=partial(compute_gates, is_spread=True),
        chart=Chart(
            reading="At most 1/2, where half of the tokens have a gate of 0 and the others one of 1.",
            symbol="std G_l[i,c]",
            group="mixing",
            view_of="gates",
            label="spread over tokens",
            absent=ABSENT,
            build="mhc_core.figures.gates:build_spread",
        ),
    ),
)
