"""Check gradients of the streams, the branch's output and every parameter against finite differences."""

import math
from collections.abc import Callable
from typing import NamedTuple

import torch

from mhc_probe.conformance.bench import Bench, NotApplicable, NotMeasured
from mhc_probe.conformance.module_check import ModuleCheck, design, fails, format_number, holds
from mhc_probe.conformance.options import FamilyOptions

STEP = 0.02  # relative to the moved value; float32 rounding and the third derivative then cause errors of equal size
AGREES = 3e-3  # allowed error, relative to the length of the finite difference
ROUGH = 0.05  # relative difference between two step sizes above which neither gives a derivative
DIRECTIONS = 2

Outputs = dict[str, torch.Tensor]


class Mismatch(NamedTuple):
    """A derivative of `output` by `input` along one direction: `wanted` by finite differences, `got` by autograd.

    error: their difference, relative to the length of the finite difference. allowed: the largest error that finite
    differences themselves can cause.
    """

    input: str
    output: str
    error: float
    allowed: float
    wanted: float
    got: float

    @property
    def excess(self) -> float:
        """Return the error of a derivative as a multiple of what is allowed."""
        return self.error / self.allowed


def check_backward(bench: Bench, options: FamilyOptions) -> ModuleCheck:
    """Check the gradient of the streams, which flows through the mixing and through the coefficients."""
    return _check_derivatives(
        bench,
        ["the streams"],
        "mixing backward",
        "the gradient of the streams is the derivative of what is computed from them",
        "coefficients computed from a detached state, or a part of the graph that is detached or replaced",
    )


def check_branch(bench: Bench, options: FamilyOptions) -> ModuleCheck:
    """Check the module's gradient at the branch's output."""
    if bench.subject(bench.x).write is None:
        raise NotApplicable("the module returns coefficients, and no code that applies them was given as write=")
    return _check_derivatives(
        bench,
        ["the branch's output"],
        "branch backward",
        "the gradient of the branch's output is H_post times that of the next state",
        "a gradient that is scaled or detached where the branch's output is added",
    )


def check_gradients(bench: Bench, options: FamilyOptions) -> ModuleCheck:
    """Check that every entry of every parameter moves a coefficient, and that its gradient is right."""
    name, statement = "gradients", "each parameter gets the gradient of what it does"
    roles = bench.roles
    if not list(bench.subject.module.parameters()):
        raise NotApplicable("the module has no parameters")
    if roles.error:
        return fails(
            name, statement, "a backward pass", f"it raises: {roles.error.splitlines()[0]}", "print(bench.roles.error)"
        )
    show = "print(bench.roles.detached, bench.roles.dead)"
    if roles.detached:
        measured = f"no gradient, though they have an effect: {_format_counts(roles.detached)}"
        return fails(
            name, statement, "a gradient for each entry that has an effect", measured, show, "a detach or a no_grad"
        )
    if roles.dead and options.family.residual in ("sinkhorn", "free"):
        likely = "a parameter that is created and not used, or whose result is overwritten"
        return fails(name, statement, "an effect of each entry", f"none: {_format_counts(roles.dead)}", show, likely)
    check = _check_derivatives(
        bench,
        [name for name, parameter in bench.subject.module.named_parameters() if parameter.numel()],
        name,
        statement,
        "a straight-through estimate, a scaled gradient, or a backward pass written by hand",
    )
    if check.verdict == "holds" and roles.dead:
        return design(name, f"H_res leaves entries without effect: {_format_counts(roles.dead)}")
    return check


def _check_derivatives(bench: Bench, inputs: list[str], name: str, statement: str, likely: str) -> ModuleCheck:
    """Return the check with the largest mismatch of the derivatives by these inputs."""
    bench.reset()
    worst = max((find_mismatch(bench, what) for what in inputs), key=lambda found: found.excess)
    expected = f"finite differences to {format_number(worst.allowed)}"
    if worst.excess < 1:
        return holds(name, statement, f"{format_number(worst.error)} away from finite differences")
    measured = (
        f"{format_number(worst.error)} away: {worst.output} changes by {format_number(worst.wanted)} "
        f"along one direction of {worst.input}, and by {format_number(worst.got)} according to autograd"
    )
    show = f"from mhc_probe.conformance.backward import find_mismatch\nprint(find_mismatch(bench, {worst.input!r}))"
    return fails(name, statement, expected, measured, show, likely)


def find_mismatch(bench: Bench, what: str) -> Mismatch:
    """Return the largest difference between autograd and finite differences.

    `what` is "the streams", "the branch's output" or the name of a parameter.

    Raises
    ------
    NotMeasured
        If values jump along the direction, or the backward pass raises an error.
    """
    found = [_compare_derivatives(bench, what, salt) for salt in range(DIRECTIONS)]
    return max((mismatch for by_output in found for mismatch in by_output), key=lambda mismatch: mismatch.excess)


def _compare_derivatives(bench: Bench, what: str, salt: int) -> list[Mismatch]:
    """Return the mismatch of every output along one direction of the input `what`, drawn with the seed `salt`."""
    run, leaf = _open_input(bench, what)
    start = leaf.detach().clone()
    size = start.square().mean().sqrt() if start.abs().max() > 0 else 1.0
    direction = bench.draw(*start.shape, salt=500 + salt) * size
    whole, half = (_differentiate(run, start, direction, step) for step in (STEP, STEP / 2))
    with torch.enable_grad():
        outputs = run(leaf)
    return [
        _compare_output(bench, what, name, outputs[name], leaf, direction, whole[name], half[name], salt)
        for name in outputs
    ]


def _compare_output(
    bench: Bench,
    what: str,
    name: str,
    output: torch.Tensor,
    leaf: torch.Tensor,
    direction: torch.Tensor,
    whole: torch.Tensor,
    half: torch.Tensor,
    salt: int,
) -> Mismatch:
    """Compare the derivative of one output by autograd with finite differences, along two directions of the output."""
    change, length = (4 * half - whole) / 3, half.norm().item()  # Richardson's extrapolation
    size = output.detach().double().norm().item()
    if not torch.isfinite(change).all():
        raise NotMeasured(f"{name} is not finite")
    rough = ((whole - half).norm() / max(length, 1e-30)).item() if length > 1e-4 * size else 0.0
    if rough > ROUGH:
        raise NotMeasured(
            f"{name} jumps along {what}: finite differences of two steps are {format_number(rough)} apart"
        )
    random = bench.draw(*output.shape, salt=600 + salt).double()
    found = []
    for weight in (change / max(length, 1e-30), random):
        wanted = (weight * change).sum().item()
        got = _differentiate_backward(output, weight, leaf, direction)
        scale = max(length, 1e-4 * size)
        error = abs(got - wanted) / scale if math.isfinite(got) else math.inf
        found.append(Mismatch(what, name, error, AGREES + 3 * rough, wanted, got))
    return max(found, key=lambda mismatch: mismatch.excess)


def _differentiate_backward(
    output: torch.Tensor, weight: torch.Tensor, leaf: torch.Tensor, direction: torch.Tensor
) -> float:
    """Return the derivative of a weighted output along a direction from autograd's gradient; 0 if there is none."""
    if not output.requires_grad:
        return 0.0
    try:
        value = (output.double() * weight).sum()
        (grad,) = torch.autograd.grad(value, leaf, retain_graph=True, allow_unused=True)
    except RuntimeError as error:
        raise NotMeasured(f"the backward pass raises: {str(error).splitlines()[0]}") from error
    return 0.0 if grad is None else (grad.double() * direction.double()).sum().item()


@torch.no_grad()
def _differentiate(
    run: Callable[[torch.Tensor], Outputs], start: torch.Tensor, direction: torch.Tensor, step: float
) -> Outputs:
    """Return the central difference of every output along a direction, in float64."""
    after, before = run(start + step * direction), run(start - step * direction)
    return {name: (after[name].double() - before[name].double()) / (2 * step) for name in after}


def _open_input(bench: Bench, what: str) -> tuple[Callable[[torch.Tensor], Outputs], torch.Tensor]:
    """Return a function from one input of the module to its outputs, and the current value of this input as a leaf."""
    module = bench.subject.module
    y = bench.draw(*bench.x.shape[:2], bench.width, salt=91)
    if what == "the streams":
        return lambda x: _list_outputs(bench, x, y), bench.x.clone().requires_grad_()
    if what == "the branch's output":
        return lambda given: _list_outputs(bench, bench.x, given), y.requires_grad_()
    parameter = module.get_parameter(what)

    def run(value: torch.Tensor) -> Outputs:
        """Compute the outputs with `value` for the parameter, and restore the parameter."""
        if value is parameter:
            return _list_outputs(bench, bench.x, y)
        kept = parameter.detach().clone()
        parameter.copy_(value)
        outputs = _list_outputs(bench, bench.x, y)
        parameter.copy_(kept)
        return outputs

    return run, parameter


def _list_outputs(bench: Bench, x: torch.Tensor, y: torch.Tensor) -> Outputs:
    """Return all tensors that the module computes from a state and a branch output, by name."""
    called = bench.subject(x)
    found = {
        "the branch's input": called.u,
        "the next state": None if called.write is None else called.write(y),
        "H_post": called.h_post,
        "H_res": called.h_res,
        "the next H_pre": called.next_pre,
    }
    return {name: value for name, value in found.items() if value is not None}


def _format_counts(entries: dict[str, int]) -> str:
    return ", ".join(f"{name} ({count} {'entry' if count == 1 else 'entries'})" for name, count in entries.items())
