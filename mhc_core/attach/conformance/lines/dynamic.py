"""The part of the logits that comes from the state: used, gated, and made of a normalised state."""

import torch

from mhc_core.attach.conformance.bench import Bench, NotApplicable, Observed
from mhc_core.attach.conformance.claim import Claim
from mhc_core.attach.conformance.lines.ranges import find_law
from mhc_core.attach.conformance.lines.sinkhorn import make
from mhc_core.attach.conformance.lines.verdicts import fails, format_number, holds, judge
from mhc_core.attach.conformance.report import Line

VARIES = 1e-4
BENT = 0.1  # of a change that is linear in float32 to 1e-5, and in bfloat16 to 0.05
SCALE = 64.0


def check_bias(bench: Bench, claim: Claim) -> Line:
    """Every coefficient has a static part."""
    if not claim.family.reads_streams:
        raise NotApplicable("this family has no biases")
    wanted = ("pre", "post") if claim.family.residual == "doubly stochastic" else claim.targets
    missing = [f"H_{target}" for target in wanted if target not in bench.roles.bias]
    if missing and _lacks_res(bench, claim):
        raise NotApplicable("no parameter moves H_res: see mixing applied")
    got = f"none for {', '.join(missing)}" if missing else "all found"
    return judge(
        "bias", "each coefficient has a bias", "a bias for each", got, "print(bench.roles.bias.keys())",
        is_right=not missing,
    )  # fmt: skip


def _lacks_res(bench: Bench, claim: Claim) -> bool:
    known = bench.roles.bias.keys() | bench.roles.phi.keys()
    return "res" in claim.targets and "res" not in known and {"pre", "post"} <= bench.roles.bias.keys()


@torch.no_grad()
def check_dynamic(bench: Bench, claim: Claim) -> Line:
    """Coefficients differ from token to token."""
    name, why = "dynamic part", "coefficients come from the state of each token"
    bench.reset()
    values = _by_target(bench.observe())
    spread = {t: (values[t] - values[t][:1, :1]).abs().max().item() for t in claim.targets if t in values}
    if max(spread.values()) < VARIES:
        unused = [name for name in bench.roles.dead if bench.subject.module.get_parameter(name).numel() >= bench.width]
        if not unused:
            raise NotApplicable("coefficients are static: no parameter is a projection")
        return fails(name, why, "differences between tokens", f"none; {', '.join(unused)} unused", _SHOW)
    if _lacks_res(bench, claim):
        spread.pop("res", None)
    still = [f"H_{target}" for target, value in spread.items() if value < VARIES]
    if still:
        return fails(name, why, "differences between tokens", f"none in {', '.join(still)}", _SHOW)
    return holds(name, why)


_SHOW = "print(bench.observe().h_pre.std((0, 1)), bench.observe().h_post.std((0, 1)))"


@torch.no_grad()
def check_gate(bench: Bench, claim: Claim) -> Line:
    """Logits are linear in a gate."""
    name, why = "gate", "a gate multiplies the dynamic part of each logit"
    if not claim.family.reads_streams:
        raise NotApplicable("this family has no gates")
    dynamic = [target for target in claim.targets if target in bench.roles.phi]
    if not dynamic:
        raise NotApplicable("no projection was found that a gate could scale")
    missing = [f"H_{target}" for target in dynamic if target not in bench.roles.gate]
    if missing:
        return fails(name, why, "one gate for each", f"none for {', '.join(missing)}", "print(bench.roles.gate)")
    steps = [_logits_at_gate(bench, claim, gate) for gate in (0.0, 0.2, 0.4)]
    worst = 0.0
    for target in set(dynamic) & steps[0].keys():
        zero, half, whole = (step[target] for step in steps)
        bent = ((whole - zero) - 2 * (half - zero)).abs().max() / (whole - zero).abs().max().clamp_min(1e-30)
        worst = max(worst, bent.item())
    got = f"{format_number(worst)} of the change is not linear"
    return judge(name, why, "logits linear in the gate", got, "print(bench.roles.gate)", is_right=worst < BENT)


def _logits_at_gate(bench: Bench, claim: Claim, gate: float) -> dict[str, torch.Tensor]:
    """What a gate enters linearly: logits, or the coefficients themselves where they are free.

    Logits of H_res show but for what is added to its rows and columns, which centring takes away.
    """
    bench.reset()
    bench.set_places(list(bench.roles.gate.values()), gate)
    found = {target: value.double() for target, value in _by_target(bench.observe()).items()}
    bench.reset()
    if not claim.family.pre:
        return found
    laws = {"sigmoid": 1.0, "2 sigmoid": 2.0}
    for target in ("pre", "post"):
        most = laws.get(find_law(bench, target)[0]) if target in bench.roles.bias else None
        value = found.pop(target)
        if most is not None:
            found[target] = torch.logit(value / most, 1e-7)
    if "res" in found and not _takes_exp(bench, claim):
        del found["res"]
    if "res" in found:
        log = found["res"].clamp_min(1e-30).log()
        found["res"] = log - log.mean(-1, keepdim=True) - log.mean(-2, keepdim=True) + log.mean((-2, -1), keepdim=True)
    return found


def _takes_exp(bench: Bench, claim: Claim) -> bool:
    if claim.family.residual != "sinkhorn" or "res" not in bench.roles.bias:
        return False
    return make(bench, claim).mild_fit.law.positive == "exp"


@torch.no_grad()
def check_norm(bench: Bench, claim: Claim) -> Line:
    """A state of another size has the same coefficients."""
    bench.reset()
    if not bench.roles.phi and not bench.roles.gain:
        raise NotApplicable("no projection was found")
    small, large = (_by_target(bench.observe(scale * bench.x)) for scale in (1.0, SCALE))
    if not claim.family.reads_streams:
        small.pop("pre"), large.pop("pre")
    change = max((small[target] - large[target]).abs().max().item() for target in small)
    return judge(
        "norm",
        "the state is normalised before it is projected",
        f"the same coefficients for {SCALE:g} times the state",
        f"differences up to {format_number(change)}",
        f"print(bench.observe().h_pre[0, 0], bench.observe({SCALE:g} * bench.x).h_pre[0, 0])",
        is_right=change < 1e-3,
    )


def _by_target(observed: Observed) -> dict[str, torch.Tensor]:
    found = {"pre": observed.h_pre, "post": observed.h_post}
    return found if observed.h_res is None else found | {"res": observed.h_res}
