"""Metrics of the learned weights of a value residual: how much attention uses a layer's own values, and those of the
first layer.

Shapes: K layers measured together.
"""

from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from mhc_core.metric import OURS, Chart, LayerBlock, LayerMetric, Metric, NoMixing, ReferenceLayer

if TYPE_CHECKING:
    import torch

    from mhc_core.spec import RunSpec

NAMES = ("value_weight_own", "value_weight_first")  # in the order of the parameter
TITLES = ("Weight of own values", "Weight of the first layer's values")
LABELS = ("own values", "first values")
WHOSE = ("its own layer", "the first attention layer")
READINGS = (
    "1, with a weight of 0 for the first layer's values, is attention without a value residual.",
    "0: the layer does not use the values of the first attention layer.",
)
ABSENT = "No learned weights of values in this run."


def measure_weight(place: int, block: LayerBlock) -> "torch.Tensor":
    """Return one of the two weights for each layer of a block, (K); nan for layers without weights, such as MLPs."""
    import torch

    pairs = block.list_value_weights()
    none = block.x_KnNC.new_full((2,), torch.nan, dtype=torch.float64)
    return torch.stack([none if pair is None else pair.double() for pair in pairs])[:, place]


def read_weight(place: int, spec: "RunSpec", layer: ReferenceLayer) -> float:
    """Return one of the two weights of a layer; nan for a layer without weights.

    Raises
    ------
    NoMixing
        If no layer of the stack has weights: they start with the second attention layer, which is the third layer.
    """
    if spec.block.value_residual != "learned" or spec.depth < 3:
        raise NoMixing("value_weights", ABSENT)
    return np.nan if layer.value_weights is None else float(layer.value_weights[place])


def _define(place: int) -> LayerMetric:
    """Define the metric of one of the two weights."""
    return LayerMetric(
        metric=Metric(
            key=NAMES[place],
            title=TITLES[place],
            unit="weight",
            scale="linear",
            shape="L",
            frame="forward",
            meaning=f"Weight of the values of {WHOSE[place]} in what attention mixes, where a value residual has "
            "learned weights: attention layers after the first. 1/2 before training.",
            formula=f"l{place + 1} in l1 V_l + l2 V_1",
            source=OURS,
            precision=(0.0, 1e-7),
        ),
        measure=partial(measure_weight, place),
        reference=partial(read_weight, place),
        chart=Chart(
            reading=READINGS[place],
            symbol=f"l{place + 1}",
            view_of="unfolded",
            label=LABELS[place],
            absent=ABSENT,
            include=(0.0, 1.0),
        ),
        some_layers=True,
    )


METRICS = tuple(_define(place) for place in range(len(NAMES)))
