"""What training needs: gradients, and a start that is the residual network where that is promised."""

import torch

from mhc_core.attach.conformance.bench import Bench, NotApplicable
from mhc_core.attach.conformance.claim import Claim
from mhc_core.attach.conformance.lines.verdicts import fails, format_number, holds, judge
from mhc_core.attach.conformance.report import Line

CLOSE = 1e-3


@torch.no_grad()
def check_start(bench: Bench, claim: Claim) -> Line:
    """From equal streams, their mean gains the branch's output once."""
    x = bench.draw(*bench.x.shape[:2], 1, bench.width, salt=81).expand_as(bench.x).contiguous()
    called = bench.initial(x)
    if called.write is None:
        raise NotApplicable("other code applies the coefficients: give it as write=")
    y = bench.draw(*called.u.shape, salt=82)
    gained = called.write(y).mean(2) - called.write(torch.zeros_like(y)).mean(2)
    drift = (called.write(torch.zeros_like(y)).mean(2) - x[:, :, 0]).abs().max().item()
    times = ((gained * y).sum() / (y * y).sum()).item()
    got = f"{format_number(times)} of the branch's output, streams changed by {format_number(drift)}"
    if not claim.family.starts_as_residual:
        raise NotApplicable(f"this family promises no start; from equal streams the mean gains {got}")
    read = (called.u - x[:, :, 0]).abs().max().item()
    is_right = abs(times - 1) < CLOSE and drift < CLOSE and read < CLOSE
    return judge(
        "start",
        "as it is built, the layer is the residual network",
        "u = x and x' = x + y from equal streams",
        got,
        "x = bench.x[:, :, :1].expand_as(bench.x).contiguous()\nprint(bench.initial(x).u - x[:, :, 0])",
        is_right=is_right,
    )


def check_gradients(bench: Bench, claim: Claim) -> Line:
    """Every entry of every parameter moves a coefficient, and its gradient says so."""
    name, why = "gradients", "a gradient reaches every parameter"
    roles = bench.roles
    if not list(bench.subject.module.parameters()):
        raise NotApplicable("the module has no parameters")
    show = "print(bench.roles.detached, bench.roles.dead)"
    if roles.detached:
        got = f"no gradient, though they have an effect: {_list(roles.detached)}"
        return fails(name, why, "a gradient for each entry that has an effect", got, show)
    if roles.dead and claim.family.residual not in ("sinkhorn", "free"):
        return Line(name, "design", f"design: H_res leaves entries without effect: {_list(roles.dead)}")
    if roles.dead:
        return fails(name, why, "an effect of each entry", f"none: {_list(roles.dead)}", show)
    return holds(name, why)


def _list(entries: dict[str, int]) -> str:
    return ", ".join(f"{name} ({count} {'entry' if count == 1 else 'entries'})" for name, count in entries.items())
