"""One forward and one backward pass through a stack, layer by layer, as a sequence of frames.

Each layer has a separate small autograd graph, which begins at the state before it. The backward pass goes from the
last layer to the first, and passes the gradient from each layer to the one before it. This is the chain rule that
autograd would apply to the whole stack. But frames can be sent, and a run can be stopped, between layers, and a layer's
graph is freed after its use. If the graphs of all layers would take too much memory, only the states are kept, and each
layer is computed again in the backward pass.

With a value residual, the values of the first attention layer are another input of later layers. They are a leaf of
each layer's graph, like the state. The backward pass sums their gradients, and passes the sum to the layer that
computed them.
"""

from collections.abc import Generator, Iterator
from dataclasses import dataclass, field
from typing import TypeVar

import numpy as np
import torch

from mhc_core.cost.counts import recomputes
from mhc_core.edits import find_first_edit
from mhc_core.findings.signals import ROUNDINGS
from mhc_core.layers.connections import DepthReads, Mixing
from mhc_core.measure.bases import Bases
from mhc_core.measure.effects import BasePass, BaseRecorder, EffectProbe
from mhc_core.measure.layout import lay_out
from mhc_core.measure.logit_probe import LogitProbe
from mhc_core.measure.probe import (
    INPUT_LAYER,
    BackwardProbe,
    ForwardProbe,
    build_loss_frame,
    build_mixing_frame,
)
from mhc_core.metrics.gradients import join_norms, measure_norms
from mhc_core.metrics.mixing_gradients import measure_mixing_gradients
from mhc_core.metrics.states import rms
from mhc_core.metrics.token_products import to_gains
from mhc_core.record.columns import fetch
from mhc_core.record.frames import PassFrame
from mhc_core.rng import normal
from mhc_core.stack import DTYPES, LayerOutput, Stack

Returned = TypeVar("Returned")
MIXING_GRADIENTS = ("mixing_grad_norm", "h_res_grad", "logit_grad_norm")


@dataclass
class _Tape:
    """What the backward pass needs from each layer, and the gradients that it collects."""

    forgets: bool  # whether only states are kept, and each layer is computed again in the backward pass
    leaves: list[torch.Tensor] = field(default_factory=list)
    values: list[torch.Tensor | None] = field(default_factory=list)  # of a value residual, as they enter each layer
    values_grad: torch.Tensor | None = None  # sum over later layers
    outputs: list[LayerOutput | None] = field(default_factory=list)
    static: list[Mixing] = field(default_factory=list)
    static_grads: list[tuple[torch.Tensor, ...]] = field(default_factory=list)
    output_grads: list[torch.Tensor] = field(default_factory=list)  # of mixing parameters that the output depends on
    mixing_norms: list[list[torch.Tensor]] = field(default_factory=list)  # gradient norms of a layer's parameters
    h_res_grads: list[torch.Tensor] = field(default_factory=list)  # summed over samples
    logit_norms: list[torch.Tensor] = field(default_factory=list)

    def drop_last(self) -> None:
        """Remove the last layer from the tape, once its backward pass was measured."""
        for layers in (self.leaves, self.values, self.outputs, self.static):
            del layers[-1:]


def measure(
    stack: Stack, device: torch.device, *, with_cka: bool = True, bases: Bases | None = None
) -> Iterator[PassFrame]:
    """Measure one forward and backward pass of a stack on its device; yield its forward, loss, backward and mixing
    frames.

    Parameters
    ----------
    with_cka: whether to measure the similarity of layers and yield its frames; default True.
    bases: the process's cache of passes without edits; a pass in it is not computed again. Default None.
    """
    spec = stack.spec
    static = stack.connection.static_mixing()
    layout = lay_out(stack, device)
    tape = _Tape(recomputes(spec))
    bases = bases if bases and bases.has_room(spec, device) else None
    logits = LogitProbe(stack)
    base, shared = _find_base(stack, static, tape, logits, bases) if spec.edits else (None, [])
    logits.listen(range(len(shared), spec.depth))
    first = find_first_edit(spec) if spec.edits else 0
    effects = EffectProbe(base, layout, first) if base else None
    recorder = BaseRecorder() if bases and not spec.edits else None
    known = base.forward if base else None
    probe = ForwardProbe(layout, with_cka=with_cka, biased_cka=spec.cka == "biased", known=known, first=first)

    state, values = stack.embed().detach(), None
    yield from probe.observe_input(state)
    for layer in range(spec.depth):
        output = shared.pop(0) if shared else _run_layer(stack, layer, state, static, tape, values)
        yield from probe.observe(layer, output)
        state, values = output.state, output.values
        if effects:
            effects.add_state(layer, state)
        if recorder:
            recorder.add_output(output)
        del output  # because its graph would be kept even if the tape forgets it

    leaf = state.detach().requires_grad_()
    loss = stack.loss(leaf)
    yield build_loss_frame(float(loss.detach()), effects.compare_outputs(stack, leaf) if effects else {})
    grad, *tape.output_grads = torch.autograd.grad(loss, [leaf, *stack.connection.output_parameters()])

    down = BackwardProbe(layout)
    for layer in reversed(range(spec.depth)):
        weights: list[torch.Tensor] = list(stack.branches[layer].parameters())
        below, grad_u, grad_weights, h_res = _descend(stack, layer, grad, weights, tape)
        if effects:
            effects.add_gradient(layer, grad)
        if recorder:
            recorder.add_gradient(grad)
        yield from down.observe(layer, grad, grad_u, weights, grad_weights, h_res)
        grad = below
    if bases and recorder:
        bases.keep(stack, recorder.build(loss), probe)
    yield from down.observe(INPUT_LAYER, stack.connection.gather_input_grad(grad))
    products = probe.products.columns() | down.products.columns()
    distances = effects.columns() if effects else {}
    gradients = _mixing_gradients(stack, static, tape)
    of_logits = logits.columns()
    columns = fetch(products | gradients | of_logits | distances)
    eps = torch.finfo(stack.connection.coefficient_dtype).eps
    further = _to_columns(columns, eps) | {key: columns[key] for key in (*of_logits, *distances)}
    yield build_mixing_frame(probe.mean_mixing(), to_gains(columns), further, down.cast)


def _find_base(
    stack: Stack, static: Mixing | None, tape: _Tape, logits: LogitProbe, bases: Bases | None
) -> tuple[BasePass, list[LayerOutput]]:
    """Return the pass without the stack's edits, and the outputs of the layers that are already on the tape.

    These are the layers before the first edit. If `bases` has the pass, there are none; else the pass is computed, and
    kept there.
    """
    base, shared = bases.find(stack.spec) if bases else None, list[LayerOutput]()
    if base is None:
        first = find_first_edit(stack.spec)
        logits.listen(range(first))
        base, shared = _exhaust(record_base(stack, static, tape, first))
        if bases:
            bases.keep(stack, base)
    stack.edits.base = base.read
    return base, shared


def keep_base(stack: Stack, bases: Bases) -> Iterator[None]:
    """Run a stack without its edits, and keep the pass. Yield after each layer; closing the generator stops it."""
    tape = _Tape(recomputes(stack.spec))
    base, _ = yield from record_base(stack, stack.connection.static_mixing(), tape, first=0)
    bases.keep(stack, base)


def record_base(
    stack: Stack, static: Mixing | None, tape: _Tape, first: int
) -> Generator[None, None, tuple[BasePass, list[LayerOutput]]]:
    """Run a stack without its edits, forward and backward. Yield after each layer; return the pass, and the outputs of
    the layers before `first`.

    first: the first layer that edits change. The forward pass of earlier layers is the same with edits, so these layers
        stay on the tape.
    """
    recorder = BaseRecorder()
    with stack.with_edits():
        state, values = stack.embed().detach(), None
        for layer in range(stack.spec.depth):
            output = _run_layer(stack, layer, state, static, tape, values)
            recorder.add_output(output)
            state, values = output.state, output.values
            del output
            yield
        leaf = state.detach().requires_grad_()
        loss = stack.loss(leaf)
        (grad,) = torch.autograd.grad(loss, leaf)
        for layer in reversed(range(stack.spec.depth)):
            recorder.add_gradient(grad)
            grad = _descend_state(stack, layer, grad, tape, keeps=layer < first)
            yield
    return recorder.build(loss), recorder.outputs[:first]


def _exhaust(steps: Generator[None, None, Returned]) -> Returned:
    """Run a generator to its end, and return its return value."""
    while True:
        try:
            next(steps)
        except StopIteration as end:
            returned: Returned = end.value
            return returned


def measure_disturbed_gradient(stack: Stack, device: torch.device) -> np.ndarray:
    """Measure log10 of grad_rms (L) in a pass in which each state is changed at random by `ROUNDINGS` roundings of the
    stack's type.

    The stack must be on the device. nan if the gradient is not finite, or 0.
    """
    roundings = torch.finfo(DTYPES[stack.spec.dtype]).eps * ROUNDINGS[stack.spec.dtype]
    static, tape, layout = stack.connection.static_mixing(), _Tape(recomputes(stack.spec)), lay_out(stack, device)
    state, values = stack.embed().detach(), None
    # One draw for all layers, shifted by one feature per layer: separate draws would each need a copy to the GPU.
    change = normal(stack.spec.seed, "disturbance", -1, *state.shape).to(state) * roundings
    for layer in range(stack.spec.depth):
        output = _run_layer(stack, layer, state, static, tape, values)
        kept, fresh = stack.connection.split_fresh(output.state.detach())
        state, values = torch.cat([kept, fresh * (1 + change.roll(layer, -1))]), output.values
        del output
    leaf = state.requires_grad_()
    (grad,) = torch.autograd.grad(stack.loss(leaf), leaf)
    sizes = []
    for layer in reversed(range(stack.spec.depth)):
        sizes.append(rms(layout.merge_grad(layout.to_streams(grad).to(layout.measured_dtype))))
        grad = _descend_state(stack, layer, grad, tape)
    found = torch.stack(sizes[::-1]).double().cpu().numpy()
    with np.errstate(divide="ignore", invalid="ignore"):
        log10 = np.log10(found)
    return np.where(np.isfinite(log10), log10, np.nan)


def _run_layer(
    stack: Stack, layer: int, state: torch.Tensor, static: Mixing | None, tape: _Tape, values: torch.Tensor | None
) -> LayerOutput:
    """Compute one layer as a separate graph with the state as a leaf, record it on the tape, and return its output."""
    leaf = state.detach().requires_grad_()
    if values is not None:
        values = values.detach().requires_grad_()
    mixing = None
    if static is not None:
        # A leaf as well, because Sinkhorn is differentiated once for all layers, after the backward pass.
        mixing = Mixing(*(part[layer].detach().requires_grad_() for part in static))
        tape.static.append(mixing)
    with torch.set_grad_enabled(not tape.forgets):
        output = stack.layer(layer, leaf, mixing, values)
    tape.leaves.append(leaf)
    tape.values.append(values)
    tape.outputs.append(None if tape.forgets else output)
    return output


def _descend(
    stack: Stack, layer: int, grad: torch.Tensor, weights: list[torch.Tensor], tape: _Tape
) -> tuple[torch.Tensor, torch.Tensor, list[torch.Tensor], torch.Tensor | None]:
    """Compute the backward pass of one layer, and remove it from the tape.

    Return the gradients with respect to the state before it, the branch input and the branch weights, and the layer's
    h_res.
    """
    leaf, coefficients = tape.leaves.pop(), tape.static.pop() if tape.static else None
    values = tape.values.pop()
    output = tape.outputs.pop() or stack.layer(layer, leaf, coefficients, values)
    mixing: list[torch.Tensor] = list(coefficients or ())
    own: list[torch.Tensor] = list(stack.connection.layer_parameters(layer))
    logits = _logits_to_compare(stack, layer) if own else None
    h_res = None if isinstance(output.mixing, DepthReads) else output.mixing.h_res
    watched = [] if logits is None or h_res is None else [h_res]
    wanted = [leaf, output.u, *weights, *mixing, *watched, *own, *([] if values is None else [values])]
    ends, end_grads = [output.state], [grad]
    if values is None and output.values is not None and tape.values_grad is not None:  # the layer has made them
        ends, end_grads = [*ends, output.values], [*end_grads, tape.values_grad]
    # Coefficients of a single stream are constants, which are not in the graph.
    grads = torch.autograd.grad(ends, wanted, end_grads, allow_unused=True)
    found = [torch.zeros_like(w) if g is None else g for w, g in zip(wanted, grads, strict=True)]
    if values is not None and grads[-1] is not None:  # the layer reads them
        tape.values_grad = grads[-1] if tape.values_grad is None else tape.values_grad + grads[-1]
    found = found if values is None else found[:-1]
    branch, rest = found[2 : 2 + len(weights)], found[2 + len(weights) :]
    if mixing:
        tape.static_grads.append(tuple(rest))
    else:
        tape.mixing_norms.append(measure_norms(rest[len(watched) :]) if own else [])
    if logits is not None:
        tape.h_res_grads.append(rest[0].sum(0, dtype=torch.float64))
        tape.logit_norms += [norm for w, norm in zip(own, tape.mixing_norms[-1], strict=True) if w is logits]
    return found[0], found[1], branch, h_res


def _descend_state(stack: Stack, layer: int, grad: torch.Tensor, tape: _Tape, *, keeps: bool = False) -> torch.Tensor:
    """Return only the gradient with respect to the state before the layer.

    keeps: whether to leave the layer on the tape, for a second backward pass; default False.
    """
    leaf, coefficients = tape.leaves[layer], tape.static[layer] if tape.static else None
    output = tape.outputs[layer] or stack.layer(layer, leaf, coefficients, tape.values[layer])
    (below,) = torch.autograd.grad(
        output.state, leaf, grad, retain_graph=keeps, allow_unused=True, materialize_grads=True
    )
    if not keeps:
        tape.drop_last()
    return below


def _logits_to_compare(stack: Stack, layer: int) -> torch.Tensor | None:
    """Return the parameter with the logits of h_res if its gradient norm is to be compared with that of h_res, or None.

    None without logits, for a single stream, which has no mixing, and for matrices with free sums, whose logits receive
    another part of the gradient.
    """
    is_compared = stack.connection.n > 1 and stack.spec.family.keeps_sums
    return stack.connection.residual_logits(layer) if is_compared else None


def _mixing_gradients(stack: Stack, static: Mixing | None, tape: _Tape) -> dict[str, torch.Tensor]:
    """Return the gradients of each layer's mixing parameters, on the device; {} if the connection has no parameters.

    `mixing_grad_norm` (L): norm of all gradients of a layer. If h_res has logits, also `h_res_grad` (L, n, n), the
    gradient with respect to h_res, and `logit_grad_norm` (L), the norm of that with respect to the logits.
    """
    if static is not None and stack.connection.stacked_parameters():
        return dict(zip(MIXING_GRADIENTS, _static_gradients(stack, static, tape), strict=False))
    if not any(tape.mixing_norms):
        return {}
    kept = [join_norms(tape.mixing_norms[::-1])]
    kept += [torch.stack(column[::-1]) for column in (tape.h_res_grads, tape.logit_norms) if column]
    return dict(zip(MIXING_GRADIENTS, kept, strict=False))


def _to_columns(fetched: dict[str, np.ndarray], eps: float) -> dict[str, np.ndarray]:
    """Return the columns (L) of mixing gradients, from the arrays of `_mixing_gradients`."""
    total, grads, logits = (fetched.get(key) for key in MIXING_GRADIENTS)
    if total is None:
        return {}
    columns = {"mixing_grad_norm": total}
    if grads is not None and logits is not None:
        columns |= measure_mixing_gradients(grads, logits, eps)
    return columns


def _static_gradients(stack: Stack, static: Mixing, tape: _Tape) -> list[torch.Tensor]:
    """Return the values of `_mixing_gradients` for static mixing."""
    stacked = stack.connection.stacked_parameters()
    gathered = Mixing(*(torch.stack(parts[::-1]) for parts in zip(*tape.static_grads, strict=True)))
    made = [(part, grad) for part, grad in zip(static, gathered, strict=True) if part.requires_grad]
    grads = list(torch.autograd.grad([part for part, _ in made], stacked, [grad for _, grad in made]))
    for parameter, of_output in zip(stack.connection.output_parameters(), tape.output_grads, strict=True):
        (place,) = (number for number, other in enumerate(stacked) if other is parameter)
        grads[place] = grads[place] + of_output
    norms = [torch.linalg.vector_norm(g.flatten(1), dim=1, dtype=torch.float64) for g in grads]
    total = torch.linalg.vector_norm(torch.stack(norms), dim=0)
    logits = _logits_to_compare(stack, 0)
    if logits is None:
        return [total]
    (own,) = (norm for parameter, norm in zip(stacked, norms, strict=True) if parameter is logits)
    return [total, gathered.h_res, own]
