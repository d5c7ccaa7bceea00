"""The properties of a model that probes need, and the number of layers that they measure together."""

from collections.abc import Callable
from dataclasses import dataclass

import torch

from mhc_core.stack import DTYPES, Stack

CPU_BYTES, CARD_BYTES = 64 * 2**20, 256 * 2**20  # largest size of the states that are measured together
CPU_LAYERS, CARD_LAYERS = 16, 32  # largest number of layers that are measured together


@dataclass(frozen=True)
class Layout:
    """Properties of a model that the probes need.

    Attributes
    ----------
    depth, samples: L layers, N = B T samples.
    state_width: number of values in a state for each sample.
    dtype: type of the states.
    device: device of the states.
    to_streams: function that returns any state, or its gradient, as streams (n, N, C).
    merge: function that merges streams (..., n, N, C) into one state, (..., N, C).
    merge_grad: function that returns the gradient with respect to the merged state, (..., N, C).
    gather_input_grad: function from the gradient at the state before the layers to that at the embedding; default: the
        identity.
    skip: factor of the skip path; DeepNorm has one above 1. Default 1.
    sums: whether the state after a layer is exactly the sum of skip path and branch, with no norm after it; default
        False, because it is not known for someone else's model.
    has_mixing: whether layers are joined by H_pre, H_res and H_post; default True.
    """

    depth: int
    samples: int
    state_width: int
    dtype: torch.dtype
    device: torch.device
    to_streams: Callable[[torch.Tensor], torch.Tensor]
    merge: Callable[[torch.Tensor], torch.Tensor]
    merge_grad: Callable[[torch.Tensor], torch.Tensor]
    gather_input_grad: Callable[[torch.Tensor], torch.Tensor] = lambda grad: grad
    skip: float = 1.0
    sums: bool = False
    has_mixing: bool = True

    @property
    def measured_dtype(self) -> torch.dtype:
        """Return the dtype of measurements: float64 for float64 states, else float32, because sums in bfloat16 would be
        inaccurate.
        """
        return torch.float64 if self.dtype == torch.float64 else torch.float32

    @property
    def state_entries(self) -> int:
        """Return the number of values in one state."""
        return self.samples * self.state_width


def lay_out(stack: Stack, device: torch.device) -> Layout:
    """Return the layout of a stack on the device."""
    spec, connection = stack.spec, stack.connection
    return Layout(
        depth=spec.depth,
        samples=spec.input.batch * spec.input.tokens,
        state_width=connection.state_width,
        dtype=DTYPES[spec.dtype],
        device=device,
        to_streams=connection.streams,
        merge=connection.merge,
        merge_grad=connection.merge_grad,
        gather_input_grad=connection.gather_input_grad,
        skip=float(stack.branches[0].skip),  # type: ignore[arg-type]
        sums=spec.block.norm_position != "post",
        has_mixing=spec.family.has_mixing,
    )


def max_together(layout: Layout) -> int:
    """Return the largest number of layers that are measured together."""
    is_card = layout.device.type != "cpu"
    layers, size = (CARD_LAYERS, CARD_BYTES) if is_card else (CPU_LAYERS, CPU_BYTES)
    return max(1, min(layers, size // (4 * layout.state_entries)))
