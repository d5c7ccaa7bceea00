"""Find the role of each parameter of a connection by changing it, because names and shapes differ between libraries.

With random parameters, every entry changes some of H_pre, H_post and H_res. The entries of a parameter that change only
one of them are a bias if there are n (n^2 for H_res), a gate if there is one, and a projection otherwise.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

import torch
from torch import nn

TARGETS = ("pre", "post", "res")
SMALL = 256  # largest parameter whose entries are changed one by one
STEP = 0.5
SEEN = 1e-5  # smallest change of a coefficient that counts

Measure = Callable[[], dict[str, torch.Tensor]]  # returns coefficients by target, with their graph


class ParameterEntry(NamedTuple):
    """One entry of a parameter: the parameter's name in the module, and the index in the flat parameter."""

    name: str
    entry: int


class Entries(NamedTuple):
    """Several entries of one parameter, as (K) indices in the flat parameter."""

    name: str
    indices: torch.Tensor


@dataclass
class Roles:
    """Biases, gates and projections by target; entries without effect; and entries with an effect but no gradient.

    `dead` and `detached` have the numbers of such entries by parameter. `gain` lists parameters that scale the state
    before it is projected. `entangled` has, for "pre" and "post", the parameter whose n^2 entries change that target
    together with H_res. `error` is the message of a failed backward pass.
    """

    bias: dict[str, list[ParameterEntry]] = field(default_factory=dict)
    gate: dict[str, ParameterEntry] = field(default_factory=dict)
    phi: dict[str, Entries] = field(default_factory=dict)
    gain: list[str] = field(default_factory=list)
    dead: dict[str, int] = field(default_factory=dict)
    detached: dict[str, int] = field(default_factory=dict)
    entangled: dict[str, str] = field(default_factory=dict)
    error: str = ""


def find_roles(module: nn.Module, measure: Measure, n: int) -> Roles:
    """Return the roles of all parameters. Their values are unchanged afterwards."""
    moved = _find_moved(module, measure)
    roles = Roles()
    try:
        has_gradient = _find_gradients(module, measure)
    except RuntimeError as error:
        roles.error = str(error)
        has_gradient = {name: torch.zeros(3, value.numel()).bool() for name, value in module.named_parameters()}
    for name, parameter in module.named_parameters():
        if not parameter.numel():
            continue
        effect, gradient = moved.get(name), has_gradient[name]
        if effect is None:
            effect = _move_slices(parameter, gradient, measure)
        lost = (effect & ~gradient).any(0).sum().item()
        if lost:
            roles.detached[name] = int(lost)
        if not effect.any(0).all():
            roles.dead[name] = int((~effect.any(0)).sum())
        _assign(roles, name, effect, n)
    return roles


def _assign(roles: Roles, name: str, effect: torch.Tensor, n: int) -> None:
    """Add a parameter's entries to the roles.

    effect: (3, entries), whether each entry changes H_pre, H_post and H_res.
    """
    many = effect.sum(0) > 1
    for target, row in zip(TARGETS[:2], effect, strict=False):
        if (row & effect[2] & (effect.sum(0) == 2)).sum() == n * n:
            roles.entangled[target] = name
    if many.sum() == 1:
        index = int(many.nonzero()[0])
        for target, row in zip(TARGETS, effect, strict=True):
            if row[index]:
                roles.gate.setdefault(target, ParameterEntry(name, index))
    elif many.all() and name not in roles.entangled.values():
        roles.gain.append(name)
        return
    for target, row in zip(TARGETS, effect, strict=True):
        indices = (row & ~many).nonzero().flatten()
        if len(indices) == (n * n if target == "res" else n):
            roles.bias.setdefault(target, [ParameterEntry(name, int(index)) for index in indices])
        elif len(indices) == 1:
            roles.gate.setdefault(target, ParameterEntry(name, int(indices)))
        elif len(indices):
            roles.phi.setdefault(target, Entries(name, indices))


@torch.no_grad()
def _find_moved(module: nn.Module, measure: Measure) -> dict[str, torch.Tensor]:
    """Change the entries of each small parameter one by one; return which targets each entry changes, (3, entries)."""
    base, moved = measure(), {}
    for name, parameter in module.named_parameters():
        if not 0 < parameter.numel() <= SMALL:
            continue
        flat, columns = parameter.view(-1), []
        for index in range(len(flat)):
            kept = flat[index].clone()
            flat[index] += STEP
            columns.append(_find_changed(base, measure()))
            flat[index] = kept
        moved[name] = torch.stack(columns, 1)
    return moved


@torch.no_grad()
def _move_slices(parameter: nn.Parameter, gradient: torch.Tensor, measure: Measure) -> torch.Tensor:
    """Return which entries of a large parameter change which target, (3, entries).

    An entry with a gradient does. Entries without one are changed slice by slice to see whether they do.
    """
    base, effect = measure(), gradient.clone()
    axis = min(range(parameter.ndim), key=lambda axis: parameter.shape[axis] if parameter.shape[axis] > 1 else 1 << 62)
    shaped = effect.view(3, *parameter.shape)
    for index in range(parameter.shape[axis]):
        lacks = ~shaped.select(axis + 1, index).flatten(1).any(1)
        part = parameter.select(axis, index)
        kept = part.clone()
        part.mul_(-1).add_(STEP)
        moved = lacks & _find_changed(base, measure())
        part.copy_(kept)
        shaped.select(axis + 1, index)[moved] = True
    return effect


def _find_changed(base: dict[str, torch.Tensor], now: dict[str, torch.Tensor]) -> torch.Tensor:
    """Return for each of `TARGETS` whether it changed, (3); a coefficient that is now nan has changed."""
    changed = [target in base and not bool((base[target] - now[target]).abs().max() < SEEN) for target in TARGETS]
    return torch.tensor(changed)


@torch.enable_grad()
def _find_gradients(module: nn.Module, measure: Measure) -> dict[str, torch.Tensor]:
    """Return for each parameter which entries get a gradient from which target, (3, entries)."""
    named = dict(module.named_parameters())
    found = {name: torch.zeros(3, parameter.numel(), dtype=torch.bool) for name, parameter in named.items()}
    wanted = {name: parameter for name, parameter in named.items() if parameter.requires_grad}
    measured = measure()
    for row, target in enumerate(TARGETS):
        value = measured.get(target)
        if value is None or not value.requires_grad or not wanted:
            continue
        generator = torch.Generator().manual_seed(row)
        weight = torch.randn(value.shape, generator=generator).to(value)
        grads = torch.autograd.grad((value * weight).sum(), list(wanted.values()), retain_graph=True, allow_unused=True)
        for name, grad in zip(wanted, grads, strict=True):
            if grad is not None:
                found[name][row] = grad.flatten().cpu() != 0
    return found
