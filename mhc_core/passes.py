"""One forward and one backward pass through a stack, layer by layer, as a sequence of frames.

The loop is explicit. Each layer is a small autograd graph of its own, cut at the state; the backward pass walks the
layers down and hands the gradient from one to the next. It is the chain rule that autograd would apply to the whole
stack, but frames can leave and a run can be stopped between layers, and a layer's graph is freed once used.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

from mhc_core.connections import Mixing
from mhc_core.frames import Frame
from mhc_core.metrics.gradients import total_norm
from mhc_core.probe import INPUT_LAYER, BackwardProbe, ForwardProbe, build_mixing_frame, to_status
from mhc_core.stack import LayerOutput, Stack


@dataclass
class _Tape:
    """What the way down needs of each layer, and the gradients it gathers."""

    leaves: list[torch.Tensor] = field(default_factory=list)
    outputs: list[LayerOutput] = field(default_factory=list)
    static: list[Mixing] = field(default_factory=list)
    static_grads: list[tuple[torch.Tensor, ...]] = field(default_factory=list)
    mixing_norms: list[torch.Tensor] = field(default_factory=list)


def measure(stack: Stack, device: torch.device, *, with_cka: bool = True) -> Iterator[Frame]:
    """Frames of one pass through a stack that lies on the device: forward, loss, backward, mixing.

    `with_cka=False` leaves out the similarity of layers, and its frames.
    """
    spec = stack.spec
    static = stack.connection.static_mixing()
    tape, probe = _Tape(), ForwardProbe(stack, device, with_cka=with_cka)

    state = stack.embed().detach()
    yield probe.observe_input(state)
    for layer in range(spec.depth):
        state = _climb(stack, layer, state, static, tape)
        yield from probe.observe(layer, tape.outputs[-1])

    leaf = state.detach().requires_grad_()
    loss = stack.loss(leaf)
    yield _loss_frame(loss)
    (grad,) = torch.autograd.grad(loss, leaf)

    down = BackwardProbe(stack, device)
    for layer in reversed(range(spec.depth)):
        weights: list[torch.Tensor] = list(stack.branches[layer].parameters())
        below, grad_u, grad_weights = _descend(stack, layer, grad, weights, tape)
        yield from down.observe(layer, grad, grad_u, weights, grad_weights)
        grad = below
    yield from down.observe(INPUT_LAYER, grad)
    yield build_mixing_frame(probe.composites(), _mixing_grad_norms(stack, static, tape))


def _climb(stack: Stack, layer: int, state: torch.Tensor, static: Mixing | None, tape: _Tape) -> torch.Tensor:
    leaf = state.detach().requires_grad_()
    mixing = None
    if static is not None:
        # Cut here too: Sinkhorn is differentiated once for all layers, after the way down.
        mixing = Mixing(*(part[layer].detach().requires_grad_() for part in static))
        tape.static.append(mixing)
    output = stack.layer(layer, leaf, mixing)
    tape.leaves.append(leaf)
    tape.outputs.append(output)
    return output.state


def _descend(
    stack: Stack, layer: int, grad: torch.Tensor, weights: list[torch.Tensor], tape: _Tape
) -> tuple[torch.Tensor, torch.Tensor, list[torch.Tensor]]:
    """Gradients at the state below, at the branch input and at the branch's weights."""
    leaf, output = tape.leaves.pop(), tape.outputs.pop()
    mixing: list[torch.Tensor] = list(tape.static.pop()) if tape.static else []
    own: list[torch.Tensor] = list(stack.connection.layer_parameters(layer))
    wanted = [leaf, output.u, *weights, *mixing, *own]
    # A single stream's coefficients are constants that its arithmetic skips.
    grads = torch.autograd.grad(output.state, wanted, grad, allow_unused=True)
    found = [torch.zeros_like(w) if g is None else g for w, g in zip(wanted, grads, strict=True)]
    branch, rest = found[2 : 2 + len(weights)], found[2 + len(weights) :]
    if mixing:
        tape.static_grads.append(tuple(rest))
    elif own:
        tape.mixing_norms.append(total_norm(rest))
    return found[0], found[1], branch


def _mixing_grad_norms(stack: Stack, static: Mixing | None, tape: _Tape) -> np.ndarray | None:
    """Norm of the gradient of each layer's mixing parameters, (L); None where the connection has none."""
    stacked = stack.connection.stacked_parameters()
    if static is not None and stacked:
        gathered = [torch.stack(parts[::-1]) for parts in zip(*tape.static_grads, strict=True)]
        made = [(part, grad) for part, grad in zip(static, gathered, strict=True) if part.requires_grad]
        grads = torch.autograd.grad([part for part, _ in made], stacked, [grad for _, grad in made])
        norms = [torch.linalg.vector_norm(g.flatten(1), dim=1, dtype=torch.float64) for g in grads]
        return torch.linalg.vector_norm(torch.stack(norms), dim=0).cpu().numpy()
    if tape.mixing_norms:
        return torch.stack(tape.mixing_norms[::-1]).cpu().numpy()
    return None


def _loss_frame(loss: torch.Tensor) -> Frame:
    value: Any = float(loss.detach())
    flag = to_status(value)
    return Frame(
        "loss",
        {"values": {"loss": None if flag else value}, "status": {"loss": flag} if flag else {}},
    )
