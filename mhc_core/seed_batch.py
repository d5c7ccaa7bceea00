"""Stacks that differ in their seed alone, passed through together: one operator call serves all of them.

`torch.vmap` runs the arithmetic of one stack over a leading axis k of seeds, weights included; autograd stands outside
of it. At small widths operator calls are the cost, and this is where a batch wins. Every seed has probes of its own,
fed with its slice, so that the numbers are those of single runs by the same code.

Shapes: k seeds, n streams, N samples, C width, L layers. Tensors of a batch have a leading axis k.
"""

import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.func import functional_call, stack_module_state

from mhc_core.connections import Mixing
from mhc_core.frames import Frame
from mhc_core.metrics.gradients import total_norm
from mhc_core.probe import INPUT_LAYER, BackwardProbe, ForwardProbe, build_mixing_frame
from mhc_core.result import Result
from mhc_core.spec import RunSpec
from mhc_core.stack import LayerOutput, Stack, build_stack


class StackBatch:
    """The weights of k stacks, and what a `Stack` does, for all of them at once."""

    def __init__(self, stacks: Sequence[Stack]) -> None:
        self.template, self._caller = stacks[0], _Caller(stacks[0])
        parameters, buffers = stack_module_state(list(stacks))
        self.tensors: dict[str, torch.Tensor] = {**parameters, **buffers}
        self._names = {id(item): name for name, item in self.template.named_parameters()}
        self._layers: dict[int | None, dict[str, torch.Tensor]] = {}
        for name, tensor in self.tensors.items():
            self._layers.setdefault(_layer_of(name), {})[f"stack.{name}"] = tensor

    def of(self, parameters: Sequence[nn.Parameter]) -> list[torch.Tensor]:
        """The batch's counterparts of the template's parameters."""
        return [self.tensors[self._names[id(parameter)]] for parameter in parameters]

    def embed(self) -> torch.Tensor:
        """The states before the first layer."""
        state: torch.Tensor = self._call(lambda stack: stack.embed())
        return state

    def static_mixing(self) -> Mixing | None:
        """Coefficients (k, L, ...) of all layers and seeds in one batch, where no token can change them."""
        if self.template.connection.static_mixing() is None:
            return None
        mixing: Mixing = self._call(lambda stack: stack.connection.static_mixing())
        return mixing

    def layer(self, layer: int, state: torch.Tensor, mixing: Mixing | None) -> LayerOutput:
        """One layer of every stack."""
        arguments = (state,) if mixing is None else (state, mixing)
        output: LayerOutput = self._call(
            lambda stack, state, mixing=None: stack.layer(layer, state, mixing), *arguments, layer=layer
        )
        return output

    def loss(self, state: torch.Tensor) -> torch.Tensor:
        """The losses, (k)."""
        loss: torch.Tensor = self._call(lambda stack, state: stack.loss(state), state)
        return loss

    def _call(self, method: Callable[..., Any], *arguments: Any, layer: int | None = None) -> Any:
        # A call swaps in all tensors that it is given: those of other layers would cost more than the layer.
        tensors = {**self._layers.get(None, {}), **(self._layers.get(layer, {}) if layer is not None else {})}

        def call_one(tensors: dict[str, torch.Tensor], arguments: tuple[Any, ...]) -> Any:
            return functional_call(self._caller, tensors, (method, *arguments), tie_weights=False)

        with warnings.catch_warnings():
            # Attention has no batching rule on the CPU; torch loops over the seeds, which gives the same bits.
            warnings.filterwarnings("ignore", message="There is a performance drop")
            return torch.vmap(call_one)(tensors, arguments)


class _Caller(nn.Module):
    """Hands a stack to a function: `functional_call` reaches nothing but a module's `forward`."""

    def __init__(self, stack: Stack) -> None:
        super().__init__()
        self.stack = stack

    def forward(self, method: Callable[..., Any], *arguments: Any) -> Any:
        return method(self.stack, *arguments)


def _layer_of(name: str) -> int | None:
    """The layer to which a parameter belongs by its name, as in `branches.3.w_in`; None for what all layers share."""
    return next((int(part) for part in name.split(".") if part.isdigit()), None)


def measure_batch(specs: Sequence[RunSpec], device: torch.device, results: Sequence[Result]) -> Iterator[int]:
    """Measure specs that differ in their seed alone, without CKA, into their results.

    Yields after every stack that is drawn and every layer, up and down, how many layers of single stacks that was:
    three times the depth in all for a spec.
    """
    stacks = []
    for spec in specs:
        stacks.append(build_stack(spec).to(device))
        yield spec.depth  # drawing the weights counts as a pass
    batch = StackBatch(stacks)
    del stacks
    static, passed = batch.static_mixing(), []
    up = [ForwardProbe(batch.template, device, with_cka=False) for _ in specs]

    state = batch.embed().detach()
    _take(results, [[probe.observe_input(part)] for probe, part in zip(up, state, strict=True)])
    for layer in range(specs[0].depth):
        leaf = state.detach().requires_grad_()
        mixing = None if static is None else Mixing(*(part[:, layer].detach().requires_grad_() for part in static))
        output = batch.layer(layer, leaf, mixing)
        passed.append((leaf, mixing, output))
        _take(results, [probe.observe(layer, part) for probe, part in zip(up, _split(output), strict=True)])
        state = output.state
        yield len(specs)

    leaf = state.detach().requires_grad_()
    (grad,) = torch.autograd.grad(batch.loss(leaf).sum(), leaf)
    down = [BackwardProbe(batch.template, device) for _ in specs]
    mixing_grads: list[list[torch.Tensor]] = []
    for layer in reversed(range(specs[0].depth)):
        grad, gathered = _descend(batch, layer, grad, passed.pop(), results, down)
        mixing_grads.append(gathered)
        yield len(specs)
    _take(results, [probe.observe(INPUT_LAYER, part) for probe, part in zip(down, grad, strict=True)])
    norms = _mixing_norms(batch, static, mixing_grads[::-1])
    for seed, (probe, result) in enumerate(zip(up, results, strict=True)):
        result.add(build_mixing_frame(probe.composites(), None if norms is None else norms[seed]))


def _descend(
    batch: StackBatch,
    layer: int,
    grad: torch.Tensor,
    passed: tuple[torch.Tensor, Mixing | None, LayerOutput],
    results: Sequence[Result],
    down: Sequence[BackwardProbe],
) -> tuple[torch.Tensor, list[torch.Tensor]]:
    """Gradients at the states below, and at what makes the layer's mixing; what they measure goes to the results."""
    leaf, mixing, output = passed
    weights = batch.of(list(batch.template.branches[layer].parameters()))
    made = list(mixing or batch.of(batch.template.connection.layer_parameters(layer)))
    wanted = [leaf, output.u, *weights, *made]
    grads = torch.autograd.grad(output.state, wanted, grad, allow_unused=True)
    # vmap could return a view of u beside the one that the state was made from; its gradient must not read as zero.
    assert grads[1] is not None, "the branch input is part of the layer's graph"
    found = [torch.zeros_like(w) if g is None else g for w, g in zip(wanted, grads, strict=True)]
    grad_weights, grad_made = found[2 : 2 + len(weights)], found[2 + len(weights) :]
    with torch.no_grad():
        parts = zip(*(item.unbind() for item in (grad, found[1], *weights, *grad_weights)), strict=True)
        half = 2 + len(weights)
        _take(
            results,
            [
                probe.observe(layer, part[0], part[1], list(part[2:half]), list(part[half:]))
                for probe, part in zip(down, parts, strict=True)
            ],
        )
    return found[0], grad_made


def _mixing_norms(
    batch: StackBatch, static: Mixing | None, grads: Sequence[Sequence[torch.Tensor]]
) -> np.ndarray | None:
    """Norms of the gradient of each layer's mixing parameters, (k, L); None where the connection has none."""
    connection = batch.template.connection
    if static is None:
        if not connection.layer_parameters(0):
            return None
        norms = [[total_norm(list(parts)) for parts in zip(*layer, strict=True)] for layer in grads]
        return torch.stack([torch.stack(layer) for layer in norms], 1).cpu().numpy()
    stacked = batch.of(connection.stacked_parameters())
    if not stacked:
        return None
    gathered = [torch.stack(parts, 1) for parts in zip(*grads, strict=True)]
    made = [(part, grad) for part, grad in zip(static, gathered, strict=True) if part.requires_grad]
    found = torch.autograd.grad([part for part, _ in made], stacked, [grad for _, grad in made])
    each = [torch.linalg.vector_norm(grad.flatten(2), dim=2, dtype=torch.float64) for grad in found]
    return torch.linalg.vector_norm(torch.stack(each), dim=0).cpu().numpy()


def _split(output: LayerOutput) -> list[LayerOutput]:
    """One layer's outputs, seed by seed, outside of autograd."""
    parts = (part.detach().unbind() for part in (output.state, output.u, output.y, *output.mixing))
    return [LayerOutput(state, u, y, Mixing(*mixing)) for state, u, y, *mixing in zip(*parts, strict=True)]


def _take(results: Sequence[Result], frames: Sequence[Sequence[Frame]]) -> None:
    for result, found in zip(results, frames, strict=True):
        for frame in found:
            result.add(frame)
