"""Put a copy of a connection on a test bench: set its logits, and measure its coefficients from inputs and outputs.

The bench solves linear equations for the coefficients, so that it does not matter how the module stores them: u is
linear in the streams, and the next state is linear in the streams and in the branch's output.
"""

from copy import deepcopy
from dataclasses import replace
from functools import cached_property
from typing import Any, NamedTuple

import torch
from torch import nn

from mhc_probe.conformance.calling import BATCH, TOKENS, ModuleCall, Subject
from mhc_probe.conformance.roles import SEEN, Entries, ParameterEntry, Roles, find_roles

BASE = 1.0  # logit at which maps other than exp are defined too
VISIBLE = 1e-5  # smallest entry of H_res whose logarithm float32 resolves
MISFIT = 1e-3  # above it, u or the next state is not a mix of streams


class NotApplicable(Exception):
    """The check does not apply to this kind of module, or needs a missing option. The message gives the reason."""


class NotMeasured(Exception):
    """The check applies, but the module prevents the measurement. The message gives the reason."""


class EntangledBias(NotMeasured):
    """Entries of a bias move several coefficients by the same amount."""


class ObservedMixing(NamedTuple):
    """Measured coefficients: h_pre, h_post (B, T, n), h_res (B, T, n, n), rows index the output; None if unknown.

    If H_pre is passed from layer to layer, h_pre is the one for the next layer. misfit_read, misfit_write: the largest
    residual of u, and of the next state, that no weighted sum of streams explains, relative to the largest entry.
    """

    h_pre: torch.Tensor
    h_post: torch.Tensor
    h_res: torch.Tensor | None
    misfit_read: float
    misfit_write: float


class Bench:
    """Copies of one connection, with which the checks experiment. States and parameters are drawn from `seed`.

    `subject` is the copy that checks change. `initial` has the parameters of the given module. `pristine` is never
    called: checks that depend on the history of calls copy it.
    """

    def __init__(self, subject: Subject, seed: int = 0) -> None:
        self.seed = seed
        self.initial, self.pristine, self.subject = (subject.on(_copy(subject.module)) for _ in range(3))
        parameter = next(iter(self.subject.module.parameters()), torch.zeros(()))
        self.dtype, self.device = parameter.dtype, parameter.device
        self.n, self.width = subject.n, subject.width
        self._ordered: dict[str, list[ParameterEntry]] = {}
        self.notes: dict[str, Any] = {}  # results that checks share
        self.x = self.draw(BATCH, TOKENS, self.n, self.width)
        self.randomise()
        if subject.on(_copy(subject.module)).overwrites(self.x):
            self.initial, self.pristine, self.subject = (
                replace(one, in_place=True) for one in (self.initial, self.pristine, self.subject)
            )

    def draw(self, *shape: int, salt: int = 0) -> torch.Tensor:
        """Return standard normal values that depend on shape, seed and salt alone."""
        generator = torch.Generator().manual_seed(1000 * self.seed + salt)
        return torch.randn(shape, generator=generator).to(self.device, self.dtype)

    @torch.no_grad()
    def randomise(self) -> None:
        """Draw parameters like those after training: none of them zero, logits of order 1."""
        for salt, parameter in enumerate(self.subject.module.parameters()):
            drawn = self.draw(*parameter.shape, salt=salt + 1)
            if parameter.numel() <= 3:
                parameter.copy_(0.6 + 0.2 * drawn.tanh())  # gates
            elif parameter.numel() <= (self.n + 2) * self.n:
                parameter.copy_(0.7 * drawn)  # biases
            else:
                inputs = self.n * self.width  # inputs of a projection, whatever its axes
                parameter.copy_(drawn * (max(parameter.shape) if parameter.numel() % inputs else inputs) ** -0.5)

    @cached_property
    def roles(self) -> Roles:
        """Return which coefficients each parameter of the module moves, and how."""
        roles = find_roles(self.subject.module, self._measure_coefficients, self.n)
        original = dict(self.initial.module.named_parameters())
        with torch.no_grad():
            for name in roles.gain:
                self.subject.module.get_parameter(name).copy_(original[name])
        return roles

    @cached_property
    def random_state(self) -> dict[str, torch.Tensor]:
        """Return the state dict of the module with random parameters, but the original gains of norms."""
        return {name: value.clone() for name, value in self._after_roles().items()}

    def _after_roles(self) -> dict[str, torch.Tensor]:
        """Return the module's state dict after `roles` was computed, which restores the gains of norms."""
        self.roles  # noqa: B018  # sets the gains
        return self.subject.module.state_dict()

    def reset(self) -> None:
        """Set all parameters of the module to their random values."""
        self.subject.module.load_state_dict(self.random_state)

    def _measure_coefficients(self) -> dict[str, torch.Tensor]:
        """Measure the coefficients on the bench's own state. Return those that are known, by target."""
        observed = self.observe()
        known = {"pre": observed.h_pre, "post": observed.h_post, "res": observed.h_res}
        return {target: value for target, value in known.items() if value is not None}

    def observe(self, x: torch.Tensor | None = None, subject: Subject | None = None) -> ObservedMixing:
        """Measure H_pre, H_post and H_res of the module on a state (B, T, n, C)."""
        inverse = self._state_inverse if x is None else None
        x = self.x if x is None else x
        return measure(x, (subject or self.subject)(x), inverse)

    @cached_property
    def _state_inverse(self) -> torch.Tensor:
        return invert(self.x)

    # ---- logits

    def set_entries(self, places: list[ParameterEntry], values: torch.Tensor | float) -> None:
        """Write values to entries of the module's parameters."""
        wanted = values if isinstance(values, torch.Tensor) else torch.full((len(places),), values)
        with torch.no_grad():
            for place, value in zip(places, wanted.flatten().tolist(), strict=True):
                self.subject.module.get_parameter(place.name).view(-1)[place.entry] = value

    @torch.no_grad()
    def scale_entries(self, entries: Entries, factor: float) -> None:
        """Multiply entries of a parameter of the module."""
        flat = self.subject.module.get_parameter(entries.name).view(-1)
        flat[entries.indices.to(flat.device)] *= factor

    def stop_dynamic(self) -> None:
        """Set gates and projections to zero. Coefficients then depend on biases alone, which are 1."""
        self.subject.module.load_state_dict(self._static_state)

    @cached_property
    def _static_state(self) -> dict[str, torch.Tensor]:
        """Return the state dict of the module without gates and projections, and with biases of 1."""
        self.reset()
        roles = self.roles
        self.set_entries(list(roles.gate.values()), 0.0)
        for entries in roles.phi.values():
            self.scale_entries(entries, 0.0)
        for places in roles.bias.values():
            self.set_entries(places, BASE)
        return {name: value.clone() for name, value in self.subject.module.state_dict().items()}

    def list_owners(self, target: str) -> list[int] | None:
        """Return which coefficient each entry of a bias moves; None if an entry moves several by the same amount.

        Raises
        ------
        NotMeasured
            If the bias has no effect.
        """
        places = self.roles.bias[target]
        try:
            ordered = self.require_bias(target)
        except EntangledBias:
            return None
        return [ordered.index(place) for place in places]

    def require_bias(self, target: str) -> list[ParameterEntry]:
        """Return the parameter entries that are the bias of H_pre, H_post or H_res (`target`), by stream or row by row.

        Raises
        ------
        NotMeasured
            If there is no bias, or one entry changes several coefficients.
        """
        if target in self.roles.entangled:
            raise NotMeasured(f"parameters of H_res move H_{target} too: see bias")
        if target not in self.roles.bias:
            raise NotMeasured(f"no bias of H_{target} was found")
        if target not in self._ordered:
            self._ordered[target] = self._order_bias(target, self.roles.bias[target])
        return self._ordered[target]

    @torch.no_grad()
    def _order_bias(self, target: str, places: list[ParameterEntry]) -> list[ParameterEntry]:
        """Order the entries of a bias by the coefficient that each moves.

        Raises
        ------
        NotMeasured
            If the bias has no effect, or (EntangledBias) an entry moves several coefficients alike.
        """
        self.stop_dynamic()
        base = _center_log(self._measure_coefficients()[target][0, 0])
        changes = []
        for place in places:
            self.set_entries([place], BASE + 0.3)
            changes.append((_center_log(self._measure_coefficients()[target][0, 0]) - base).nan_to_num().flatten())
            self.set_entries([place], BASE)
        self.reset()
        change = torch.stack(changes)  # (entries of the bias, coefficients)
        if change.abs().max() < SEEN:
            raise NotMeasured(f"biases of H_{target} have no effect where gates and projections are zero")
        # Two streams leave H_res one degree of freedom: each logit moves two entries equally, one of them its own.
        if target == "res" and self.n == 2 and (change.diagonal() > 0.99 * change.amax(1)).all():
            return places
        for signed in (change, -change):
            most, second = signed.topk(2).values.T
            owners = signed.argmax(1).tolist()
            if (second < 0.9 * most).all() and sorted(owners) == list(range(len(places))):
                return [places[owners.index(entry)] for entry in range(len(places))]
        raise EntangledBias(f"entries of the bias of H_{target} move several coefficients alike")

    @cached_property
    @torch.no_grad()
    def res_offset(self) -> torch.Tensor:
        """Return the constant (n, n) that the module adds to the logits of H_res, up to row and column constants."""
        self.require_bias("res")
        self.stop_dynamic()
        h_res = self.observe().h_res
        self.reset()
        if h_res is None or not (h_res > VISIBLE).all():
            return torch.zeros(self.n, self.n)
        offset = center(h_res.mean((0, 1)).log()).cpu()
        return offset if offset.abs().max() > 0.01 else torch.zeros_like(offset)

    @cached_property
    @torch.no_grad()
    def is_dynamic(self) -> bool:
        """Return whether any coefficient differs between samples or tokens, by more than rounding."""
        self.reset()
        return any((value - value[:1, :1]).abs().max() > 1e-4 for value in self._measure_coefficients().values())

    @torch.no_grad()
    def mixing(
        self, pre: torch.Tensor | None = None, post: torch.Tensor | None = None, res: torch.Tensor | None = None
    ) -> ObservedMixing:
        """Measure the coefficients for given logits of H_pre (n), H_post (n) or H_res (n, n), without a dynamic part.

        Raises
        ------
        NotMeasured
            If the module has no such bias.
        """
        if res is not None:
            res = res.view(self.n, self.n) - self.res_offset.to(res)
        wanted = {"pre": pre, "post": post, "res": res}
        places = {target: self.require_bias(target) for target, value in wanted.items() if value is not None}
        self.stop_dynamic()
        for target, value in wanted.items():
            if value is not None:
                self.set_entries(places[target], value)
        observed = self.observe()
        self.reset()
        return observed


def center(matrix: torch.Tensor) -> torch.Tensor:
    """Subtract row and column means from logits (..., n, n). Sinkhorn rounds ignore constants of rows and columns."""
    rows, columns = matrix.mean(-1, keepdim=True), matrix.mean(-2, keepdim=True)
    return matrix - rows - columns + matrix.mean((-2, -1), keepdim=True)


def _center_log(value: torch.Tensor) -> torch.Tensor:
    """Return the centred logarithm of a matrix (n, n) with entries above `VISIBLE`, and any other value unchanged."""
    return center(value.log()) if value.ndim == 2 and bool((value > VISIBLE).all()) else value


def _copy(module: nn.Module) -> nn.Module:
    """Return an unfrozen copy in float32, or in float64 if the module is."""
    copied = deepcopy(module).eval().requires_grad_(True)
    is_double = any(parameter.dtype == torch.float64 for parameter in copied.parameters())
    return copied if is_double else copied.float()


def invert(x: torch.Tensor) -> torch.Tensor:
    """Return the pseudo-inverse (B, T, C, n) of a state (B, T, n, C), to solve for coefficients. At least float32."""
    return torch.linalg.pinv(x.detach().to(torch.promote_types(x.dtype, torch.float32)))


def measure(x: torch.Tensor, called: ModuleCall, inverse: torch.Tensor | None = None) -> ObservedMixing:
    """Solve for the coefficients of one call on a state x (B, T, n, C). inverse: of x, if it is already known."""
    inverse = invert(x) if inverse is None else inverse
    exact = x.detach().to(inverse.dtype)
    u = called.u.to(exact.dtype)
    h_pre = (u.unsqueeze(-2) @ inverse).squeeze(-2)
    misfit_read = _measure_misfit(u, (h_pre.unsqueeze(-2) @ exact).squeeze(-2))
    if called.next_pre is not None:
        h_pre = called.next_pre
    if called.write is None:
        assert called.h_post is not None
        return ObservedMixing(h_pre, called.h_post, called.h_res, misfit_read, 0.0)
    passed = called.write(torch.zeros_like(called.u)).to(exact.dtype)
    h_res = passed @ inverse
    added = called.write(torch.ones_like(called.u)).to(exact.dtype) - passed
    h_post = added.mean(-1)
    # Also test an output that varies: the sum must be linear in it, channel by channel.
    y = 3 * torch.randn(called.u.shape, generator=torch.Generator().manual_seed(0)).to(called.u)
    written = called.write(y).to(exact.dtype) - passed
    misfit_write = max(
        _measure_misfit(passed, h_res @ exact),
        _measure_misfit(written, h_post.unsqueeze(-1) * y.to(exact.dtype).unsqueeze(-2)),
        _measure_misfit(added, h_post.unsqueeze(-1).expand_as(added)),
    )
    return ObservedMixing(h_pre, h_post, h_res, misfit_read, misfit_write)


def _measure_misfit(measured: torch.Tensor, explained: torch.Tensor) -> float:
    """Return the largest absolute difference relative to the largest measured entry."""
    return ((measured - explained).abs().max() / measured.abs().max().clamp_min(1e-30)).item()
