"""A copy of a connection on the bench: its logits set at will, its coefficients measured from what it does.

Coefficients are solved for, so that it does not matter how the module stores them: u is linear in the streams, and the
next state is linear in the streams and in the branch's output.
"""

from copy import deepcopy
from functools import cached_property
from typing import Any, NamedTuple

import torch
from torch import nn

from mhc_core.attach.conformance.calling import BATCH, TOKENS, Called, Subject
from mhc_core.attach.conformance.roles import Place, Roles, find_roles

BASE = 1.0  # a logit for which maps other than exp are defined too
MISFIT = 1e-3  # above it, u or the next state is no mix of streams


class NotApplicable(Exception):
    """A line has nothing to look at; the message says why."""


class Observed(NamedTuple):
    """Measured coefficients: h_pre, h_post (B, T, n), h_res (B, T, n, n), rows index the output; None where unknown.

    Where H_pre is carried from layer to layer, h_pre is that made for the next one.
    misfit_read, misfit_write: the largest share of u and of the next state that no mix of streams explains.
    """

    h_pre: torch.Tensor
    h_post: torch.Tensor
    h_res: torch.Tensor | None
    misfit_read: float
    misfit_write: float


class Bench:
    """One connection, copied. `seed` draws states and parameters."""

    def __init__(self, subject: Subject, seed: int = 0) -> None:
        self.seed = seed
        self.initial, self.subject = (subject.on(_copy(subject.module)) for _ in range(2))
        parameter = next(iter(self.subject.module.parameters()), torch.zeros(()))
        self.dtype, self.device = parameter.dtype, parameter.device
        self.n, self.width = subject.n, subject.width
        self._ordered: dict[str, list[Place]] = {}
        self.notes: dict[str, Any] = {}  # what lines keep for other lines
        self.x = self.draw(BATCH, TOKENS, self.n, self.width)
        self.randomise()

    def draw(self, *shape: int, salt: int = 0) -> torch.Tensor:
        """Normal numbers that depend on shape, seed and salt alone."""
        generator = torch.Generator().manual_seed(1000 * self.seed + salt)
        return torch.randn(shape, generator=generator).to(self.device, self.dtype)

    @torch.no_grad()
    def randomise(self) -> None:
        """Parameters as after training: none of them zero, logits of order 1."""
        for salt, parameter in enumerate(self.subject.module.parameters()):
            drawn = self.draw(*parameter.shape, salt=salt + 1)
            if parameter.numel() <= 3:
                parameter.copy_(0.6 + 0.2 * drawn.tanh())  # gates
            else:
                fan_in = max(parameter.shape)
                parameter.copy_(drawn * (0.7 if fan_in <= (self.n + 2) * self.n else fan_in**-0.5))

    @cached_property
    def roles(self) -> Roles:
        """What each parameter does."""
        roles = find_roles(self.subject.module, self._measure, self.n)
        original = dict(self.initial.module.named_parameters())
        with torch.no_grad():
            for name in roles.gain:
                self.subject.module.get_parameter(name).copy_(original[name])
        return roles

    @cached_property
    def random_state(self) -> dict[str, torch.Tensor]:
        """All parameters as drawn, gains as they came."""
        return {name: value.clone() for name, value in self._after_roles().items()}

    def _after_roles(self) -> dict[str, torch.Tensor]:
        self.roles  # noqa: B018  # sets the gains
        return self.subject.module.state_dict()

    def reset(self) -> None:
        """Set all parameters as drawn."""
        self.subject.module.load_state_dict(self.random_state)

    def _measure(self) -> dict[str, torch.Tensor]:
        observed = self.observe()
        known = {"pre": observed.h_pre, "post": observed.h_post, "res": observed.h_res}
        return {target: value for target, value in known.items() if value is not None}

    def observe(self, x: torch.Tensor | None = None, subject: Subject | None = None) -> Observed:
        """Measure the coefficients on a state (B, T, n, C)."""
        x = self.x if x is None else x
        return measure(x, (subject or self.subject)(x))

    def observe_initial(self, x: torch.Tensor) -> Observed:
        """Measure the coefficients with the parameters as they came."""
        return self.observe(x, self.initial)

    # ---- logits

    def set_places(self, places: list[Place], values: torch.Tensor | float) -> None:
        """Write values to entries of parameters."""
        wanted = values if isinstance(values, torch.Tensor) else torch.full((len(places),), values)
        with torch.no_grad():
            for place, value in zip(places, wanted.flatten().tolist(), strict=True):
                self.subject.module.get_parameter(place.name).view(-1)[place.entry] = value

    def stop_dynamic(self) -> None:
        """Set gates and projections to zero: coefficients then come from biases alone, which are 1."""
        self.subject.module.load_state_dict(self._static_state)

    @cached_property
    def _static_state(self) -> dict[str, torch.Tensor]:
        self.reset()
        roles = self.roles
        for places in (*roles.phi.values(), list(roles.gate.values())):
            self.set_places(places, 0.0)
        for places in roles.bias.values():
            self.set_places(places, BASE)
        return {name: value.clone() for name, value in self.subject.module.state_dict().items()}

    def need_bias(self, target: str) -> list[Place]:
        """Entries that are the bias of a target, in the order of the streams, or of (output, input) of H_res.

        Raises
        ------
        NotApplicable
            Where there is no bias, or its entries do not stand for one coefficient each.
        """
        if target not in self.roles.bias:
            raise NotApplicable(f"no bias of H_{target} was found that one could set")
        if target not in self._ordered:
            self._ordered[target] = self._order(target, self.roles.bias[target])
        return self._ordered[target]

    @torch.no_grad()
    def _order(self, target: str, places: list[Place]) -> list[Place]:
        self.stop_dynamic()
        base = self._measure()[target][0, 0]
        changes = []
        for place in places:
            self.set_places([place], BASE + 0.3)
            changes.append((self._measure()[target][0, 0] - base).nan_to_num().flatten())
            self.set_places([place], BASE)
        self.reset()
        change = torch.stack(changes)  # (entries of the bias, coefficients)
        # Two streams leave H_res one degree of freedom: each logit moves two entries alike, its own among them.
        if target == "res" and self.n == 2 and (change.diagonal() > 0.99 * change.amax(1)).all():
            return places
        owners = change.argmax(1).tolist()
        if sorted(owners) != list(range(len(places))):
            raise NotApplicable(f"biases of H_{target} do not stand for one entry each")
        return [places[owners.index(entry)] for entry in range(len(places))]

    @torch.no_grad()
    def mixing(
        self, pre: torch.Tensor | None = None, post: torch.Tensor | None = None, res: torch.Tensor | None = None
    ) -> Observed:
        """Coefficients for given logits of H_pre (n), H_post (n) or H_res (n, n), without the dynamic part.

        Raises
        ------
        NotApplicable
            Where the module has no bias that one could set so.
        """
        wanted = {"pre": pre, "post": post, "res": res}
        places = {target: self.need_bias(target) for target, value in wanted.items() if value is not None}
        self.stop_dynamic()
        for target, value in wanted.items():
            if value is not None:
                self.set_places(places[target], value)
        observed = self.observe()
        self.reset()
        return observed


def _copy(module: nn.Module) -> nn.Module:
    """A copy in float32, or in float64 where the module is, in which nothing is frozen."""
    copied = deepcopy(module).eval().requires_grad_(True)
    is_double = any(parameter.dtype == torch.float64 for parameter in copied.parameters())
    return copied if is_double else copied.float()


def measure(x: torch.Tensor, called: Called) -> Observed:
    """Solve for the coefficients of one call on a state x (B, T, n, C)."""
    x = x.detach()
    inverse = torch.linalg.pinv(x.float()).to(x.dtype)  # (B, T, C, n)
    h_pre = (called.u.unsqueeze(-2) @ inverse).squeeze(-2)
    misfit_read = _misfit(called.u, (h_pre.unsqueeze(-2) @ x).squeeze(-2))
    if called.next_pre is not None:
        h_pre = called.next_pre
    if called.write is None:
        assert called.h_post is not None
        return Observed(h_pre, called.h_post, called.h_res, misfit_read, 0.0)
    passed = called.write(torch.zeros_like(called.u))
    h_res = passed @ inverse
    added = called.write(torch.ones_like(called.u)) - passed
    misfit_write = max(_misfit(passed, h_res @ x), _misfit(added, added.mean(-1, keepdim=True).expand_as(added)))
    return Observed(h_pre, added.mean(-1), h_res, misfit_read, misfit_write)


def _misfit(got: torch.Tensor, explained: torch.Tensor) -> float:
    return ((got - explained).abs().max() / got.abs().max().clamp_min(1e-30)).item()
