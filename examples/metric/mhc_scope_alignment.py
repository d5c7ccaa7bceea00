"""Alignment of a branch: whether a layer enlarges what it reads, takes it away, or writes something new.

`pip install .` in this folder adds it to runs, results, figures, tables, maps and Verify. The catalogue is read without
torch too: functions import it.
"""

from typing import TYPE_CHECKING

import numpy as np

from mhc_core.metric import OURS, Array, Chart, LayerBlock, LayerMetric, Metric, ReferenceLayer

if TYPE_CHECKING:
    import torch

    from mhc_core.spec import RunSpec


def measure_alignment(block: LayerBlock) -> "torch.Tensor":
    """Measure the mean over tokens of the cosine between branch input and output, (K)."""
    import torch

    # By the largest entry first: what is near the end of its type would overflow when squared.
    u_KNC, y_KNC = (part / part.abs().amax(-1, keepdim=True) for part in (block.u_KNC, block.y_KNC))
    return torch.cosine_similarity(u_KNC.double(), y_KNC.double(), dim=-1).mean(1)


def compute_alignment(spec: "RunSpec", layer: ReferenceLayer) -> float:
    """Compute the same in numpy, from the definition: Verify compares with it."""
    u_NC, y_NC = (part / np.abs(part).max(1, keepdims=True) for part in (layer.u_NC, layer.y_NC))
    products: Array = (u_NC * y_NC).sum(1)
    return float(np.mean(products / np.sqrt((u_NC**2).sum(1) * (y_NC**2).sum(1))))


METRIC = LayerMetric(
    metric=Metric(
        key="branch_alignment",
        title="Branch alignment",
        unit="cosine",
        scale="linear",
        shape="L",
        frame="forward",
        meaning="Whether a layer enlarges what it reads (above 0), takes it away (below 0) or writes something else "
        "(0); mean over tokens.",
        formula="mean_t cos(u_l[t], F_l(u_l)[t]), u_l = sum_j H_pre[j] x_l[j]",
        source=OURS,
        precision=(0.0, 2e-5),
    ),
    measure=measure_alignment,
    reference=compute_alignment,
    chart=Chart(
        reading="Random weights write almost at right angles to what they read. A branch that stays near 1 or -1 only "
        "changes the size of the signal.",
        symbol="cos(u_l, F_l(u_l))",
        group="similarity",
        include=(0.0,),
        limits=(-1.0, 1.0),
    ),
)
