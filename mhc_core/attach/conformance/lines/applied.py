"""Whether the coefficients do what the layer's equation says, on the way up and on the way down."""

from copy import deepcopy

import torch

from mhc_core.attach.conformance.bench import MISFIT, Bench, NotApplicable, Observed
from mhc_core.attach.conformance.claim import Claim
from mhc_core.attach.conformance.lines.verdicts import fails, format_number, holds, judge
from mhc_core.attach.conformance.report import Line

EXACT = 1e-4
GRADIENT = 0.02  # of the largest entry: bfloat16 passes, which another line is about
NO_WRITE = "the module returns coefficients and leaves it to other code to apply them: give that code as write="


def check_read(bench: Bench, claim: Claim) -> Line:
    """u = sum_j H_pre[j] x[j]."""
    if not claim.family.reads_streams:
        raise NotApplicable("this family weighs single channels, not whole streams")
    misfit = bench.observe().misfit_read
    return judge(
        "read",
        "the branch's input is one weighted sum of the streams",
        f"a sum that explains all but {MISFIT}",
        f"{format_number(misfit)} of it unexplained",
        "print(bench.observe().misfit_read)",
        is_right=misfit < MISFIT,
    )


def check_forward(bench: Bench, claim: Claim) -> Line:
    """x'[i] = sum_j H_res[i, j] x[j] + H_post[i] y."""
    name, why = "mixing applied", "the next state is H_res x + H_post y"
    if bench.subject(bench.x).write is None:
        raise NotApplicable(NO_WRITE)
    observed = bench.observe()
    show = "print(bench.observe().h_res[0, 0], bench.observe().misfit_write)"
    if not observed.misfit_write < MISFIT:
        got = f"{format_number(observed.misfit_write)} of it is no mix of the streams and y"
        return fails(name, why, "a mix", got, show)
    assert observed.h_res is not None
    distance = (observed.h_res - torch.eye(bench.n).to(observed.h_res)).abs().max().item()
    if claim.family.residual == "identity":
        got = f"entries up to {format_number(distance)} away from it"
        return judge(name, f"{why}, where H_res is the identity", "the identity", got, show, is_right=distance < EXACT)
    if distance < EXACT:
        dead = ", ".join(bench.roles.dead) or "no parameter"
        return fails(name, why, "streams that are mixed", f"x + H_post y: H_res is not applied ({dead} unused)", show)
    return holds(name, why)


def check_backward(bench: Bench, claim: Claim) -> Line:
    """The gradient of the streams: H_res transposed where coefficients are static, else that of differences."""
    if bench.subject(bench.x).write is None:
        raise NotApplicable(NO_WRITE)
    bench.stop_dynamic()
    weight, other = bench.draw(*bench.x.shape, salt=92), bench.observe(bench.draw(*bench.x.shape, salt=93))
    observed = bench.observe()
    got, wanted = _get_gradient(bench, weight), None
    assert observed.h_res is not None
    assert other.h_res is not None
    if (other.h_res - observed.h_res).abs().max() < EXACT:
        wanted = observed.h_res.detach().mT @ weight
    bench.reset()
    if wanted is None:
        raise NotApplicable("the dynamic part could not be switched off")
    error = ((got - wanted).abs().max() / wanted.abs().max()).item()
    return judge(
        "mixing backward",
        "the gradient of the streams is H_res transposed times that of the next state",
        f"differences below {GRADIENT:g}",
        format_number(error),
        "bench.stop_dynamic()\nx = bench.x.requires_grad_()\n"
        "bench.subject(x).write(torch.zeros_like(x[:, :, 0])).sum().backward()\n"
        "print(x.grad[0, 0, :, 0], bench.observe().h_res[0, 0].sum(0))",
        is_right=error < GRADIENT,
    )


@torch.enable_grad()
def _get_gradient(bench: Bench, weight: torch.Tensor) -> torch.Tensor:
    """The gradient of the streams where that of the next state is `weight`; zero where there is none."""
    x = bench.x.clone().requires_grad_()
    write = bench.subject(x).write
    assert write is not None
    value = (write(torch.zeros_like(x[:, :, 0])) * weight).sum()
    if not value.requires_grad:
        return torch.zeros_like(x)
    return torch.autograd.grad(value, x)[0]


@torch.no_grad()
def check_tokens(bench: Bench, claim: Claim) -> Line:
    """A token's coefficients come from that token."""
    other = bench.x.clone()
    other[0, 2] = bench.draw(bench.n, bench.width, salt=94)
    before, after = _list_outputs(bench, bench.x), _list_outputs(bench, other)
    moved = []
    for what, one in before.items():
        change = (one - after[what]).flatten(2).abs().amax(-1)
        change[0, 2] = 0
        if not change.max().item() < EXACT:
            moved.append(f"{what} of {int((change >= EXACT).sum())} other tokens")
    return judge(
        "token axis",
        "the coefficients of a token come from that token alone",
        "no other token changes with one",
        ", ".join(moved) or "none changes",
        "x = bench.x.clone()\nx[0, 2] += 1\nprint((bench.observe(x).h_pre - bench.observe().h_pre).abs().amax(-1))",
        is_right=not moved,
    )


def _list_outputs(bench: Bench, x: torch.Tensor) -> dict[str, torch.Tensor]:
    observed: Observed = bench.observe(x)
    found = {"u": bench.subject(x).u, "H_post": observed.h_post}
    return found if observed.h_res is None else found | {"H_res": observed.h_res}


@torch.no_grad()
def check_timing(bench: Bench, claim: Claim) -> Line:
    """H_pre comes from the state that it reads, or, as a design, from the state of the layer before."""
    name = "timing"
    if bench.subject.carried:
        given = torch.rand(bench.x.shape[:3], generator=torch.Generator().manual_seed(0)).to(bench.x)
        u = bench.subject(bench.x, given).u
        if (u - (given.unsqueeze(-1) * bench.x).sum(2)).abs().max() < EXACT * 10:
            return Line(name, "design", "design: stale H_pre: each layer makes it for the next one to read with")
        return fails(name, "H_pre is handed on", "u read with the H_pre that was given", "another u")
    other = bench.draw(*bench.x.shape, salt=95)
    after, alone = _read_second(bench, bench.x, other), _read_second(bench, other, other)
    if (after - alone).abs().max() < EXACT:
        return holds(name, "H_pre comes from the state that it reads, whatever was computed before")
    if (after - _read_second(bench, bench.x, bench.x)).abs().max() < EXACT:
        return Line(name, "design", "design: stale H_pre: it is kept from the call before")
    show = "print(bench.observe(-bench.x).h_pre[0, 0])\nprint(bench.observe(-bench.x).h_pre[0, 0])"
    return fails(name, "H_pre comes from the state that it reads", "no memory of the call before", "other values", show)


def _read_second(bench: Bench, first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
    """H_pre of the second of two calls of a copy."""
    fresh = bench.subject.on(deepcopy(bench.subject.module))
    fresh(first)
    return bench.observe(second, fresh).h_pre
