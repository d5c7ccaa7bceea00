"""What training needs: gradients, precision, and a start that is the residual network where that is promised."""

import torch

from mhc_core.attach.conformance.bench import Bench, NotApplicable
from mhc_core.attach.conformance.claim import Claim
from mhc_core.attach.conformance.lines.verdicts import fails, format_number, holds, judge
from mhc_core.attach.conformance.report import Line

CLOSE = 1e-3
SWEEP = 33  # logits across one 256th, which bfloat16 cannot tell apart between 1 and 2
START, SPAN, WIDE = 1.3, 2.0**-8, 0.25
ROUGH = 0.05


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


@torch.no_grad()
def check_precision(bench: Bench, claim: Claim) -> Line:
    """Logits that differ by a ten-thousandth give different coefficients."""
    known = [target for target in claim.targets if target in bench.roles.bias]
    if not known:
        raise NotApplicable("no bias was found that one could move")
    rough = {target: _find_roughness(bench, target) for target in known}
    worst = max(rough, key=lambda target: rough[target])
    return judge(
        "precision",
        "the mapping is computed in float32",
        "coefficients that follow their logits smoothly",
        f"steps of {format_number(100 * rough[worst])} % in H_{worst}"
        + (", as bfloat16 or float16 make them" if rough[worst] >= ROUGH else ""),
        f"for t in (1.3, 1.301, 1.302, 1.303):\n    logits = torch.ones({_shape(bench, worst)})\n    logits[0] = t\n"
        f"    print(bench.mixing({worst}=logits).h_{worst}[0, 0])",
        is_right=rough[worst] < ROUGH,
    )


def _shape(bench: Bench, target: str) -> str:
    return f"({bench.n}, {bench.n})" if target == "res" else f"({bench.n},)"


def _find_roughness(bench: Bench, target: str) -> float:
    """Departure of a coefficient from a parabola along a short sweep, as a share of what it should change by."""
    logits = START + SPAN * torch.linspace(0, 1, SWEEP, dtype=torch.float64)
    values = torch.stack([_get_first(bench, target, float(t)) for t in logits])
    slope = _get_first(bench, target, START + WIDE) - _get_first(bench, target, START - WIDE)
    expected = (slope / (2 * WIDE) * SPAN).abs().item()
    powers = torch.linspace(-1, 1, SWEEP, dtype=torch.float64).unsqueeze(1) ** torch.arange(3)
    fit = powers @ torch.linalg.lstsq(powers, values.unsqueeze(1)).solution
    moved = abs((values[-1] - values[0]).item())
    rough = (values - fit.squeeze(1)).abs().max().item() / max(expected, 1e-30)
    return max(rough, 1.0 if moved < expected / 4 else 0.0)


def _get_first(bench: Bench, target: str, logit: float) -> torch.Tensor:
    """The first coefficient of a target for one logit of it, the others being 1."""
    values = torch.ones(len(bench.need_bias(target)))
    values[0] = logit
    observed = bench.mixing(**{target: values})
    found = {"pre": observed.h_pre, "post": observed.h_post, "res": observed.h_res}[target]
    assert found is not None
    return found.double().mean((0, 1)).flatten()[0].cpu()


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
