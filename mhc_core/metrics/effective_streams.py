"""The effective number of streams that a layer reads and writes, which is n to the power of the evenness.

Unlike the evenness, it can be compared between stacks with different numbers of streams: 2 is 2 of 4 or 2 of 8.

Shapes: K layers measured together, n streams, N samples.
"""

from typing import TYPE_CHECKING

import numpy as np

from mhc_core.metric import OURS, Array, Chart, LayerBlock, LayerMetric, Metric, NoMixing, ReferenceLayer
from mhc_core.metrics.shares import SHARES

if TYPE_CHECKING:
    import torch

    from mhc_core.spec import RunSpec

ONE_STREAM = "a run of one stream reads and writes all of it"
ABSENT = "Computed without this metric, or without weights of streams."


def measure_reads(block: LayerBlock) -> "torch.Tensor":
    """Return the effective number of streams that each layer reads, (K), from H_pre or its mean over samples."""
    weights = block.h_pre.mean(1) if block.h_res.ndim == 4 else block.h_pre
    return count_effective(weights.abs().sum(1) if weights.ndim == 3 else weights)


def measure_writes(block: LayerBlock) -> "torch.Tensor":
    """Return the effective number of streams that each layer writes, (K), from H_post or its mean over samples."""
    return count_effective(block.h_post.mean(1) if block.h_res.ndim == 4 else block.h_post)


def count_effective(weights_Kn: "torch.Tensor") -> "torch.Tensor":
    """Return exp of the entropy of the weights' shares by magnitude, (K): from 1 to n; nan if all weights are 0.

    Raises
    ------
    NoMixing
        If there is one stream.
    """
    import torch

    if weights_Kn.shape[1] == 1:
        raise NoMixing("streams", ONE_STREAM)
    size_Kn = weights_Kn.abs()
    share_Kn = size_Kn / size_Kn.sum(1, keepdim=True)
    return torch.special.entr(share_Kn).sum(1).exp()


def compute_reads(spec: "RunSpec", layer: ReferenceLayer) -> float:
    """Compute, in numpy, how many streams a layer effectively reads."""
    weights = layer.h_pre.mean(0) if layer.h_res.ndim == 3 else layer.h_pre
    return _count_effective(np.abs(weights).sum(0) if weights.ndim == 2 else np.abs(weights))


def compute_writes(spec: "RunSpec", layer: ReferenceLayer) -> float:
    """Compute, in numpy, to how many streams a layer effectively writes."""
    return _count_effective(np.abs(layer.h_post.mean(0) if layer.h_res.ndim == 3 else layer.h_post))


def _count_effective(size_n: Array) -> float:
    """Count streams by their sizes: prod_i p_i^-p_i of the shares p; nan if all sizes are 0."""
    if len(size_n) == 1:
        raise NoMixing("streams", ONE_STREAM)
    if size_n.sum() == 0:
        return np.nan
    share = size_n[size_n > 0] / size_n.sum()
    return float(np.prod(share**-share))


def _define(key: str, does: str, label: str, symbol: str) -> LayerMetric:
    """Define the metric of the streams that layers read, or of those that they write."""
    _, whole, formula = SHARES[key]
    return LayerMetric(
        metric=Metric(
            key=f"{key}_effective_streams",
            title=f"Effective number of streams {does}",
            unit="effective streams",
            scale="linear",
            shape="L",
            frame="forward",
            meaning=f"How many streams each layer {key}s: n where all have the same share, 1 where one has all. The "
            f"shares are {whole}.",
            formula=f"exp(-sum_i p[i] ln p[i]), {formula}",
            source=OURS,
            precision=(1e-5, 0.0),
        ),
        measure={"read": measure_reads, "write": measure_writes}[key],
        reference={"read": compute_reads, "write": compute_writes}[key],
        chart=Chart(
            reading=f"2: the layer {key}s as evenly as if two streams had equal weights and the others none.",
            symbol=symbol,
            group="mixing",
            view_of="streams",
            label=label,
            absent=ABSENT,
            include=(1.0,),
        ),
    )


METRICS = (
    _define("read", "that are read", "read", "exp H(|H_pre|)"),
    _define("write", "that are written", "written", "exp H(|H_post|)"),
)
