"""Check that a connection applies its coefficients as the layer's equation states."""

from copy import deepcopy

import torch

from mhc_probe.conformance.bench import MISFIT, Bench, NotApplicable, ObservedMixing
from mhc_probe.conformance.module_check import ModuleCheck, design, fails, format_number, holds, judge
from mhc_probe.conformance.options import FamilyOptions

EXACT = 1e-4
NO_WRITE = "the module returns coefficients, and no code that applies them was given as write="


def check_read(bench: Bench, options: FamilyOptions) -> ModuleCheck:
    """Check that the branch's input is u = sum_j H_pre[j] x[j]."""
    if not options.family.reads_streams:
        raise NotApplicable("this family weighs single channels, not whole streams")
    misfit = bench.observe().misfit_read
    return judge(
        "read",
        "the branch's input is one weighted sum of the streams",
        f"a sum that explains all but {MISFIT}",
        f"{format_number(misfit)} of it unexplained",
        "print(bench.observe().misfit_read)",
        "the input is normalised or rounded while it is read: the norm of the branch comes after the sum",
        is_right=misfit < MISFIT,
    )


def check_forward(bench: Bench, options: FamilyOptions) -> ModuleCheck:
    """Check that the next state is x'[i] = sum_j H_res[i, j] x[j] + H_post[i] y."""
    name, statement = "mixing applied", "the next state is H_res x + H_post y"
    if bench.subject(bench.x).write is None:
        raise NotApplicable(NO_WRITE)
    observed = bench.observe()
    show = "print(bench.observe().h_res[0, 0], bench.observe().misfit_write)"
    if not observed.misfit_write < MISFIT:
        measured = f"{format_number(observed.misfit_write)} of it is no sum of weighted streams and weighted y"
        likely = "the branch's output or the next state is normalised or rounded, or added to part of the channels"
        return fails(name, statement, f"a sum that explains all but {MISFIT}", measured, show, likely)
    assert observed.h_res is not None
    distance = (observed.h_res - torch.eye(bench.n).to(observed.h_res)).abs().max().item()
    if options.family.residual == "identity":
        measured = f"entries up to {format_number(distance)} away from it"
        statement, likely = f"{statement}, where H_res is the identity", "another family: streams are mixed"
        return judge(name, statement, "the identity", measured, show, likely, is_right=distance < EXACT)
    if distance < EXACT:
        dead = ", ".join(bench.roles.dead) or "no parameter"
        measured, likely = f"x + H_post y ({dead} unused)", "H_res is computed and not applied"
        return fails(name, statement, "streams that are mixed", measured, show, likely)
    if bench.subject.in_place:
        return design(name, "the next state overwrites the state that was given")
    return holds(name, statement)


@torch.no_grad()
def check_tokens(bench: Bench, options: FamilyOptions) -> ModuleCheck:
    """Check that the coefficients of a token depend on that token alone."""
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
        "a mean, a norm or a reshape over tokens or sequences",
        is_right=not moved,
    )


def _list_outputs(bench: Bench, x: torch.Tensor) -> dict[str, torch.Tensor]:
    """Return the branch's input, H_post and H_res of the module for a state, by name."""
    observed: ObservedMixing = bench.observe(x)
    found = {"u": bench.subject(x).u, "H_post": observed.h_post}
    return found if observed.h_res is None else found | {"H_res": observed.h_res}


@torch.no_grad()
def check_timing(bench: Bench, options: FamilyOptions) -> ModuleCheck:
    """Check that H_pre is computed from the state that it reads.

    H_pre from the state of the previous layer is the verdict "design" if the module takes it as an argument.
    """
    name = "timing"
    if bench.subject.carried:
        given = torch.rand(bench.x.shape[:3], generator=torch.Generator().manual_seed(0)).to(bench.x)
        u = bench.subject(bench.x, given).u
        if (u - (given.unsqueeze(-1) * bench.x).sum(2)).abs().max() < EXACT * 10:
            return design(name, "stale H_pre: each layer makes it for the next one to read with")
        show = (
            "h_pre = torch.rand(bench.x.shape[:3])\n"
            "print(bench.subject(bench.x, h_pre).u[0, 0], bench.x[0, 0].T @ h_pre[0, 0])"
        )
        statement = "H_pre is passed from layer to layer"
        likely = "the module reads with its own H_pre, not with that of the layer before"
        return fails(name, statement, "u read with the H_pre that was given", "another u", show, likely)
    other = bench.draw(*bench.x.shape, salt=95)
    after, alone = _read_second(bench, bench.x, other), _read_second(bench, other, other)
    if (after - alone).abs().max() < EXACT:
        return holds(name, "H_pre comes from the state that it reads, whatever was computed before")
    is_kept = (after - _read_second(bench, bench.x, bench.x)).abs().max() < EXACT
    measured = "H_pre of the call before" if is_kept else "values that depend on the call before"
    likely = "a value that is kept in the module; to read with H_pre of the layer before, take it as second argument"
    show = "print(bench.observe(-bench.x).h_pre[0, 0])\nprint(bench.observe(-bench.x).h_pre[0, 0])"
    return fails(
        name, "H_pre comes from the state that it reads", "no memory of the call before", measured, show, likely
    )


def _read_second(bench: Bench, first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
    """Call a fresh copy of the module with two states in turn, and return H_pre of the second call."""
    fresh = bench.pristine.on(deepcopy(bench.pristine.module))
    fresh.module.load_state_dict(bench.random_state)
    fresh(first)
    return bench.observe(second, fresh).h_pre
