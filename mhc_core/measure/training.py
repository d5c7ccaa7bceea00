"""Trains a stack on a new batch of its input in each step, and yields one frame per step.

All parameters are trained: branches, mixing with its gates and heads, embedding and read-out. A step is one forward and
one backward pass of plain autograd over the whole stack. Its frame contains measurements of this pass, before the
update: loss, gradients, gains, and for each layer the size of the state and of the gradient at it, and the similarity
of neighbouring layers and of tokens. Mixing matrices, measurements of each stream, CKA and effective skip connections
are kept only at a few steps, the latter two in stacks of up to 256 layers. If the loss or the gradient is not finite,
training ends. This is a result and not an error: the frame of that step has the status, and the update is not made.

Weight decay acts on matrices that multiply features: those of the branches, the embedding, the read-out, and the
projections from which dynamic mixing and heads are made. It does not act on the mixing itself (free coefficients,
logits and biases), nor on gates and scalars.

Weights are updated in the run's dtype: in bfloat16, updates below about 1/256 of a weight are lost by rounding.
"""

from collections.abc import Generator, Iterable
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn
from torch.nn.utils import clip_grads_with_norm_

from mhc_core.layers.connections import DepthReads, Made, group_coefficients
from mhc_core.measure.layout import lay_out
from mhc_core.measure.probe import stack_reads
from mhc_core.measure.step_frame import build_step_frame
from mhc_core.measure.step_probe import StepProbe
from mhc_core.metrics import value_weights
from mhc_core.metrics.gradients import measure_groups, total_norm
from mhc_core.record.columns import fetch
from mhc_core.record.frames import StepFrame
from mhc_core.spec import TrainSpec
from mhc_core.stack import Stack

BETAS = (0.9, 0.95)
MOMENTUM = 0.9
# Names of a connection's matrices that multiply features.
PROJECTIONS = {"phi", "w_m", "w_b", "w_r", "w_y", "w_a", "w_down", "w_up", "w_post", "down", "up"}


def train(stack: Stack) -> Generator[StepFrame, None, int]:
    """Train a stack in place by its spec; yield a `step` frame for every step, and return the number of updates."""
    plan = stack.spec.train
    optimizer = build_optimizer(stack)
    parameters, kept = _Parameters.from_stack(stack), pick_kept_steps(plan)
    layout = lay_out(stack, next(stack.parameters()).device)
    done = 0
    for step in range(plan.steps):
        rate = learning_rate(plan, step)
        stack.input.set_batch(step)
        optimizer.zero_grad()
        probe = StepProbe(layout, stack.spec, is_kept=step in kept)
        measured = _propagate(stack, parameters, probe)
        del probe  # to free its Gram matrices
        values = fetch(measured)
        is_finite = bool(np.isfinite(values["step_loss"]) and np.isfinite(values["step_grad_norm"]))
        if is_finite:
            _update_weights(optimizer, rate, plan.clip, measured["step_grad_norm"])
            done += 1
        yield build_step_frame(stack.spec, step, rate, values, is_kept=step in kept)
        if not is_finite:
            break
    optimizer.zero_grad()
    stack.input.set_batch(None)
    return done


def learning_rate(plan: TrainSpec, step: int) -> float:
    """Return the learning rate: linear from lr / warmup at step 0 to lr at step warmup - 1, then constant."""
    return plan.lr * min(1.0, (step + 1) / max(1, plan.warmup))


def pick_kept_steps(plan: TrainSpec) -> set[int]:
    """Return the `plan.kept` steps whose mixing matrices are kept: evenly spaced from the first to the last."""
    return {int(step) for step in np.linspace(0, plan.steps - 1, min(plan.kept, plan.steps)).round()}


def build_optimizer(stack: Stack) -> torch.optim.Optimizer:
    """Build the spec's optimiser for all parameters, in two groups: with and without weight decay."""
    plan = stack.spec.train
    groups: dict[bool, list[nn.Parameter]] = {True: [], False: []}
    for name, parameter in stack.named_parameters():
        if parameter.numel():
            groups[_has_decay(name, parameter)].append(parameter)
    options = [
        {"params": groups[True], "weight_decay": plan.weight_decay},
        {"params": groups[False], "weight_decay": 0.0},
    ]
    if plan.optimizer == "sgd":
        return torch.optim.SGD(options, lr=plan.lr, momentum=MOMENTUM, foreach=True)
    return torch.optim.AdamW(options, lr=plan.lr, betas=BETAS, foreach=True)


def _has_decay(name: str, parameter: nn.Parameter) -> bool:
    """Return whether weight decay applies to this parameter: a matrix that multiplies features."""
    if name.startswith("connection."):
        return not PROJECTIONS.isdisjoint(name.split("."))  # the name of a layer can follow
    return parameter.ndim >= 2


@dataclass(frozen=True)
class _Parameters:
    """A stack's parameters in groups: of each layer's branch, of each layer's mixing, of the mixing of all layers, and
    the others (`ends`: embedding and read-out).
    """

    branches: list[list[nn.Parameter]]
    layered: list[list[nn.Parameter]]
    stacked: list[nn.Parameter]
    ends: list[nn.Parameter]

    @classmethod
    def from_stack(cls, stack: Stack) -> "_Parameters":
        """Group the parameters of a stack."""
        branches = [list(branch.parameters()) for branch in stack.branches]
        layered = [stack.connection.layer_parameters(layer) for layer in range(stack.spec.depth)]
        stacked = stack.connection.stacked_parameters()
        inner = {id(parameter) for group in (*branches, *layered, stacked) for parameter in group}
        ends = [item for item in stack.parameters() if item.numel() and id(item) not in inner]
        return cls(branches, layered, stacked, ends)


def _propagate(stack: Stack, parameters: _Parameters, probe: StepProbe) -> dict[str, torch.Tensor]:
    """Run one forward and backward pass, which sets the gradients; return its measurements on the device."""
    state = stack.embed()
    probe.observe_input(state)
    state, mixings = stack.run_layers(state, probe.observe)
    loss = stack.loss(state)
    loss.backward()
    measured = {"step_loss": loss.detach(), **_measure_gradients(parameters), **probe.measured()}
    with torch.no_grad():
        return measured | _read_value_weights(stack) | _average(mixings)


def _read_value_weights(stack: Stack) -> dict[str, torch.Tensor]:
    """Return the learned weights of a value residual, (L) each, nan for layers without; {} if no layer has any."""
    pairs = [getattr(branch, "value_weights", None) for branch in stack.branches]
    known = [pair for pair in pairs if pair is not None]
    if not known:
        return {}
    none = torch.full_like(known[0], torch.nan)
    columns = torch.stack([none if pair is None else pair.detach() for pair in pairs]).unbind(1)
    return {f"step_{name}": column for name, column in zip(value_weights.NAMES, columns, strict=True)}


def _measure_gradients(parameters: _Parameters) -> dict[str, torch.Tensor]:
    """Return the norms of the gradients of all parameters, of each layer's branch (L) and of its mixing (L), if any."""
    found = {"step_param_grad_norm": measure_groups([_list_grads(group) for group in parameters.branches])}
    if parameters.stacked:
        rows = [
            torch.linalg.vector_norm(g.flatten(1), dim=1, dtype=torch.float64) for g in _list_grads(parameters.stacked)
        ]
        found["step_mixing_grad_norm"] = torch.linalg.vector_norm(torch.stack(rows), dim=0)
    elif any(parameters.layered):
        found["step_mixing_grad_norm"] = measure_groups([_list_grads(group) for group in parameters.layered])
    ends = [total_norm(_list_grads(parameters.ends)).unsqueeze(0)] if parameters.ends else []
    return {"step_grad_norm": torch.linalg.vector_norm(torch.cat([*found.values(), *ends])), **found}


def _list_grads(parameters: Iterable[nn.Parameter]) -> list[torch.Tensor]:
    return [torch.zeros_like(item) if item.grad is None else item.grad for item in parameters]


def _average(made: list[Made]) -> dict[str, torch.Tensor]:
    """Return the coefficients of all layers, (L, n) and (L, n, n); if they are dynamic, means over samples.

    If layers read earlier outputs, return the weights of these outputs, (L, L + 1).
    """
    found = {}
    mixings = [one for one in made if not isinstance(one, DepthReads)]
    if not mixings:
        reads = [one.weights for one in made if isinstance(one, DepthReads)]
        return {"step_unfolded": stack_reads([torch.ones_like(reads[0][:1]), *reads[:-1]])}
    is_dynamic = mixings[0].h_res.ndim == 3
    for key, stacks in group_coefficients(mixings).items():
        parts = [part.detach() for part in stacks]
        found[f"step_{key}"] = torch.stack(
            [part.mean(0, dtype=torch.float64) if is_dynamic else part for part in parts]
        )
    return found


def _update_weights(optimizer: torch.optim.Optimizer, rate: float, clip: float, norm: torch.Tensor) -> None:
    """Make one step of the optimiser with this learning rate, and with gradients clipped to the norm `clip`, if not 0.

    norm: the norm of all gradients.
    """
    for group in optimizer.param_groups:
        group["lr"] = rate
    if clip:
        clip_grads_with_norm_([item for group in optimizer.param_groups for item in group["params"]], clip, norm)
    optimizer.step()
