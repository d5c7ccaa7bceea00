"""Metrics of the raw logits of H_res: their range, and the error of sums of 1 if they are mapped in a coarser type.

Shapes: L layers, S samples, m logits of one matrix, n streams.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from mhc_core.metric import OURS, Metric
from mhc_core.metrics.token_products import worst_deviation

if TYPE_CHECKING:
    import torch

MAX_SAMPLES = 32  # number of samples whose logits are mapped again
TYPES = {"float32": (1e-5, 1e-6), "bfloat16": (0.0, 1e-2)}  # types in which they are mapped, and promised precision

METRICS = (
    Metric("res_logit_range", "Range of the residual logits", "", "linear", "L", "mixing",
           "Largest less least of the raw logits of one H_res, before they are mapped; of the worst token where mixing "
           "is dynamic. Only where H_res is made of two logits or more.",
           "max_t (max_k t_res[k] - min_k t_res[k])", OURS, precision=(1e-5, 1e-5), prefix=True),
    *(
        Metric(f"ds_error_{_name}", f"Deviation from doubly stochastic, mapped in {_name}", "", "log", "L", "mixing",
               f"How far the layer's H_res would be from doubly stochastic, were its logits mapped in {_name}; of the "
               f"worst of at most {MAX_SAMPLES} tokens, evenly spaced, where mixing is dynamic. Maps through "
               "orthogonal matrices are computed in float64 and rounded before and after. Only where H_res is made of "
               "logits.",
               "max(|row - 1|, |column - 1|, -min H), H = map(t_res)", OURS, precision=_precision,
               prefix=_name == "float32")
        for _name, _precision in TYPES.items()
    ),
)  # fmt: skip

MAX_LAYERS = 128  # number of layers that are mapped together; limited because Sinkhorn keeps the result of each round


def measure_ranges(logits_LSm: torch.Tensor) -> torch.Tensor:
    """Measure res_logit_range (L), in the type of the logits."""
    return (logits_LSm.amax(2) - logits_LSm.amin(2)).amax(1)  # `aminmax` along an axis is ten times slower


def measure_rounding(
    logits_LSm: torch.Tensor, to_matrices: Callable[[torch.Tensor], torch.Tensor]
) -> dict[str, torch.Tensor]:
    """Measure ds_error_float32 and ds_error_bfloat16 of the worst sample, (L) each, float64.

    Parameters
    ----------
    to_matrices: the family's map from logits (..., m) to H_res (..., n, n), which computes in the type of the logits.
    """
    import torch

    def measure_deviations(dtype: str) -> torch.Tensor:
        """Map the logits in this type; return the largest deviation from doubly stochastic of each layer."""
        parts = logits_LSm.to(getattr(torch, dtype)).split(MAX_LAYERS)
        return torch.cat([worst_deviation(to_matrices(part).double()) for part in parts])

    return {f"ds_error_{dtype}": measure_deviations(dtype) for dtype in TYPES}
