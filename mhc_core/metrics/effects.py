"""Metrics of the effect of edits: the distance of a run from the same run without edits.

Shapes: n streams, N samples, C width (of a stream), V classes of the read-out.
"""

from typing import TYPE_CHECKING

from mhc_core.metric import OURS, Metric

if TYPE_CHECKING:
    import torch

METRICS = (
    Metric("effect_state", "Effect on the state", "", "log", "L", "mixing",
           "Distance of the streams that leave a layer from those of the same run without edits, over the size of the "
           "latter; all streams and tokens together. 0 where nothing has changed, about 1 where as much has changed "
           "as there was.",
           "|x_l - x_l^base| / |x_l^base|", OURS, precision=(1e-5, 1e-5), prefix=True),
    Metric("effect_grad", "Effect on the gradient", "", "log", "L", "mixing",
           "Distance of the gradient of the loss at the streams that leave a layer from that of the same run without "
           "edits, over the size of the latter.",
           "|g_l - g_l^base| / |g_l^base|", OURS, precision=(1e-5, 1e-5)),
)  # fmt: skip


def measure_distance(found_nNC: "torch.Tensor", base_nNC: "torch.Tensor") -> "torch.Tensor":
    """Return |found - base| / |base| over all streams together, float64 and 0-d.

    0 if both are the same, nan if an entry is not finite.
    """
    return to_distance(measure_sizes(found_nNC, base_nNC))


def measure_sizes(found_nNC: "torch.Tensor", base_nNC: "torch.Tensor") -> "torch.Tensor":
    """Return |found - base| and |base| over all streams together, up to a common factor, (2) float64."""
    import torch

    dtype = torch.promote_types(base_nNC.dtype, torch.float32)  # a difference in bfloat16 has only eight bits
    base = base_nNC.to(dtype)
    away = found_nNC.to(dtype) - base
    if dtype == torch.float64:  # the square of an entry may overflow; squares of other types do not in float64
        largest = torch.maximum(found_nNC.abs().amax(), base.abs().amax())
        scale = largest.clamp_min(torch.finfo(dtype).tiny)
        away, base = away.div_(scale), base / scale
    return torch.stack([torch.linalg.vector_norm(part, dtype=torch.float64) for part in (away, base)])


def to_distance(sizes: "torch.Tensor") -> "torch.Tensor":
    """Return the distances (...) of `measure_distance` from the results of `measure_sizes`, (..., 2)."""
    import torch

    away, size = sizes.unbind(-1)
    return (away / size).masked_fill(away == 0, 0).masked_fill_(away.isinf() | size.isinf(), torch.nan)


def measure_divergence(base: "torch.Tensor", found: "torch.Tensor") -> "torch.Tensor":
    """Return KL(base || found) of the softmax of logits (..., V), in nats: the mean over all other axes, float64."""
    import torch

    p, q = (torch.log_softmax(logits.double(), -1) for logits in (base, found))
    return (p.exp() * (p - q)).sum(-1).mean().clamp_min(0)  # can only be below 0 by rounding
