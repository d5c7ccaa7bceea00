"""How far a layer's gates distinguish the features of a stream, where each feature is read with its own weight."""

from typing import TYPE_CHECKING

import numpy as np

from mhc_core.metric import OURS, Array, Chart, LayerBlock, LayerMetric, Metric, ReferenceLayer

if TYPE_CHECKING:
    import torch

    from mhc_core.spec import RunSpec


def measure_spread(block: LayerBlock) -> "torch.Tensor":
    """Measure the spread of each stream's weights over features by their mean, averaged over samples, (K, n)."""
    import torch

    weights = [layer.double() for layer in block.list_features()]
    return torch.stack([(layer.std(-1, correction=0) / layer.mean(-1)).mean(0) for layer in weights])


def compute_spread(spec: "RunSpec", layer: ReferenceLayer) -> Array:
    """Compute sqrt(E w^2 / (E w)^2 - 1) of each sample and stream in numpy, averaged over samples, (n)."""
    weights = layer.features
    centred = weights / weights.mean(-1, keepdims=True) - 1
    found: Array = np.sqrt((centred**2).mean(-1)).mean(0)
    return found


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
            absent="No gates: layers read whole streams.",
            include=(0.0,),
        ),
    ),
)
