"""What probes must know of a model, and how many of its layers they measure together."""

from collections.abc import Callable
from dataclasses import dataclass

import torch

from mhc_core.stack import DTYPES, Stack

CPU_BYTES, CARD_BYTES = 64 * 2**20, 256 * 2**20  # of states kept together for one measurement
CPU_LAYERS, CARD_LAYERS = 16, 32  # measured together at most


@dataclass(frozen=True)
class Layout:
    """Properties of a model that the probes need.

    Attributes
    ----------
    depth, samples: L layers, N = B T samples.
    state_width: values that a state has for each sample.
    dtype: type of the states.
    device: device of the states.
    to_streams: any state, or its gradient, as (n, N, C).
    merge: the streams (..., n, N, C) as one state, (..., N, C).
    merge_grad: the gradient at the merged state, (..., N, C).
    gather_input_grad: the gradient at the state before the layers, as one whose streams are those at the embedding.
    skip: factor on the state that passes a layer by, which DeepNorm enlarges.
    sums: whether the state that leaves a layer is what passed plus what the branch wrote; a norm after it is not known
        to a model from elsewhere.
    has_mixing: whether layers are joined by H_pre, H_res and H_post.
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
        """Return float32 at least: bfloat16 states would lose their own digits in the sums."""
        return torch.float64 if self.dtype == torch.float64 else torch.float32

    @property
    def state_entries(self) -> int:
        """Return values in one state."""
        return self.samples * self.state_width


def lay_out(stack: Stack, device: torch.device) -> Layout:
    """Return the layout of one of our stacks on the device."""
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
    """Return how many layers are measured together at most."""
    is_card = layout.device.type != "cpu"
    layers, size = (CARD_LAYERS, CARD_BYTES) if is_card else (CPU_LAYERS, CPU_BYTES)
    return max(1, min(layers, size // (4 * layout.state_entries)))
