"""Measures how much the output of a stack changes if its streams are written in another basis; it should not change.

Shapes: L layers, n streams, N samples, C width.
"""

from dataclasses import dataclass

import numpy as np
import torch

from mhc_core.layers.connections import Mixing
from mhc_core.layers.norms import normalise
from mhc_core.metrics.gauge import Gauge, apply_gauge, find_gauge
from mhc_core.metrics.mixing import LOST
from mhc_core.spec import SpecError
from mhc_core.stack import Stack

LARGEST = LOST * 2.0**52  # largest condition number times number of layers; each layer adds rounding errors


@dataclass(frozen=True)
class GaugeError:
    """The differences between a stack in another gauge and the same stack in its own.

    Attributes
    ----------
    output: largest difference of the outputs, relative to the largest entry.
    loss: difference of the losses, relative to the loss of the stack in its own gauge.
    condition: the largest `Gauge.condition` of a layer. `output` and `loss` consist of rounding errors of all layers,
        amplified by up to this factor. They are nan if this can be 10 % of the output or more.
    """

    output: float
    loss: float
    condition: float


def measure_gauge_error(stack: Stack, t: float = 1.0) -> GaugeError:
    """Compute a stack again with its mixing in another gauge, and return the differences.

    Branches are the same modules. The embedding is transformed to the basis of the first layer, and the last state is
    transformed back.

    t: the position of the basis, from 0 to 1, as in `find_gauge`. At 1 (default) every H_res is the identity.

    Raises
    ------
    SpecError
        If there is no common basis for all tokens and features, because mixing depends on tokens, streams are parts of
        the width, or there is only one; if there is a post-norm, which depends on the basis; if the stack is not in
        float64.
    """
    static = _require_static(stack)
    h_pre, h_post, h_res = (part.detach().cpu().numpy() for part in static)
    gauge = find_gauge(h_res, t)
    condition = float(gauge.condition.max())
    if condition * stack.spec.depth > LARGEST:
        return GaugeError(np.nan, np.nan, condition)
    device = static.h_res.device
    moved = Mixing(*(torch.from_numpy(part).to(device) for part in apply_gauge(h_pre, h_post, gauge)))
    with torch.no_grad():
        start = stack.embed()
        plain, loss = _read_out(stack, stack.run_layers(start)[0])
        other, other_loss = _read_out(stack, _run_layers(stack, start, moved, gauge))
    return GaugeError(
        float((other - plain).abs().max() / plain.abs().max()),
        float(abs(other_loss - loss) / abs(loss)),
        condition,
    )


def is_static_copies(stack: Stack) -> bool:
    """Return whether mixing is static, streams are copies and there are no edits: one basis then fits all tokens."""
    spec = stack.spec
    is_mixed = spec.family.has_mixing and spec.family.streams == "copies"
    return is_mixed and not spec.connection.is_dynamic and not spec.edits


def _require_static(stack: Stack) -> Mixing:
    """Return the static mixing of a stack whose streams are copies. Raise a SpecError for other stacks."""
    spec = stack.spec
    static: Mixing | None = stack.connection.static_mixing() if is_static_copies(stack) else None
    if static is None:
        raise SpecError("connection", spec.connection.kind, "static mixing of copied streams")
    if spec.block.norm_position == "post":
        raise SpecError("block.norm_position", "post", "pre or none")
    if spec.dtype != "float64":
        raise SpecError("dtype", spec.dtype, "float64")
    return static


def _run_layers(stack: Stack, start: torch.Tensor, mixing: Mixing, gauge: Gauge) -> torch.Tensor:
    """Return the last state, computed with the mixing in another basis and transformed back."""
    state, values = _change_basis(stack, start, gauge.basis[0]), None
    for layer in range(stack.spec.depth):
        output = stack.layer(layer, state, Mixing(*(part[layer] for part in mixing)), values)
        state, values = output.state, output.values
    return _change_basis(stack, state, gauge.inverse[-1])


def _change_basis(stack: Stack, state: torch.Tensor, basis_nn: np.ndarray) -> torch.Tensor:
    """Return a state in another basis of the streams, computed as a layer that only mixes."""
    basis = torch.from_numpy(basis_nn).to(state)
    y_NC = state.new_zeros(stack.spec.input.batch * stack.spec.input.tokens, stack.spec.width)
    return stack.connection.write(state, y_NC, Mixing(basis[0], basis.new_zeros(len(basis)), basis))


def _read_out(stack: Stack, state: torch.Tensor) -> tuple[torch.Tensor, float]:
    """Return the output of the stack (N, C) and the loss, for this last state."""
    out_NC = stack.connection.reduce(state)
    if stack.spec.block.norm_position == "pre":
        out_NC = normalise(out_NC, stack.spec.block.norm)
    return out_NC, float(stack.loss(state))
