"""What lies before H_res: the range of its raw logits, and what rounding leaves of sums of 1 once they are mapped.

Shapes: L layers, S samples, m logits of one matrix, n streams.
"""

from collections.abc import Callable

import torch

from mhc_core.metrics.token_products import worst_deviation

TYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}
MAX_LAYERS = 128  # that are mapped together: Sinkhorn keeps what each round finds


def measure_ranges(logits_LSm: torch.Tensor) -> torch.Tensor:
    """res_logit_range (L), in the logits' own type."""
    low, high = torch.aminmax(logits_LSm, dim=2)
    return (high - low).amax(1)


def measure_rounding(
    logits_LSm: torch.Tensor, to_matrices: Callable[[torch.Tensor], torch.Tensor]
) -> dict[str, torch.Tensor]:
    """ds_error_float32 and ds_error_bfloat16, (L) each, float64, of the worst sample.

    Parameters
    ----------
    to_matrices: the family's map from (..., m) to (..., n, n), in the type of what it is given.
    """

    def measure(dtype: torch.dtype) -> torch.Tensor:
        parts = logits_LSm.to(dtype).split(MAX_LAYERS)
        return torch.cat([worst_deviation(to_matrices(part).double()) for part in parts])

    return {f"ds_error_{name}": measure(dtype) for name, dtype in TYPES.items()}
