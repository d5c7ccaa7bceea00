"""Check the part of the logits that depends on the state: that it is used, gated and normalised."""

import torch

from mhc_probe.conformance.bench import Bench, NotApplicable, NotMeasured, ObservedMixing, center
from mhc_probe.conformance.module_check import ModuleCheck, fails, format_number, holds, judge
from mhc_probe.conformance.options import FamilyOptions
from mhc_probe.conformance.ranges import find_law
from mhc_probe.conformance.sinkhorn import FITS, find_layout, fit_h_res

VARIES = 1e-4
BENT = 0.1  # nonlinear share of a change that fails; a linear map has 1e-5 in float32, 0.05 in bfloat16
SCALES = (0.125, 64.0)  # a norm's eps of 1e-5 has no visible effect at 1/8


def check_bias(bench: Bench, options: FamilyOptions) -> ModuleCheck:
    """Check that H_pre, H_post and H_res have biases, of which each entry moves one coefficient."""
    name, statement = "bias", "each coefficient has a bias of its own"
    if not options.family.reads_streams:
        raise NotApplicable("this family has no biases")
    wanted = ("pre", "post") if options.family.residual == "doubly stochastic" else options.targets
    missing = [f"H_{target}" for target in wanted if target not in bench.roles.bias]
    show = "print(bench.roles.bias, bench.roles.entangled)"
    if "H_res" in missing and bench.roles.entangled:
        target, parameter = next(iter(bench.roles.entangled.items()))
        measured = f"{parameter}, which moves H_res, moves H_{target} too"
        return fails(name, statement, "parameters of H_res that move H_res alone", measured, show, _ENTANGLED[target])
    if missing and _lacks_res(bench, options):
        raise NotMeasured("no parameter moves H_res: see mixing applied")
    if missing:
        likely = "a static part that is left out, or that is no parameter"
        return fails(name, statement, "a bias for each", f"none for {', '.join(missing)}", show, likely)
    for target in wanted:
        if bench.list_owners(target) is None:
            measured = f"entries of the bias of H_{target} that move several coefficients alike"
            likely = f"a mean or another map over streams after the logits of H_{target}"
            return fails(name, statement, f"each moves one entry of H_{target}", measured, show, likely)
    return holds(name, statement, "all found")


_ENTANGLED = {
    "pre": "the branch reads the streams after the mixing, not before",
    "post": "the branch's output is added before the mixing, so that H_res mixes it too",
}


def check_order(bench: Bench, options: FamilyOptions) -> ModuleCheck:
    """Check that entry k of a bias belongs to stream k."""
    name, statement = "stream order", "entry k of a bias belongs to stream k, where streams are read, written and mixed"
    if not options.family.reads_streams:
        raise NotApplicable("this family has no biases")
    moved = []
    for target in ("pre", "post"):
        owners = None if target not in bench.roles.bias else bench.list_owners(target)
        if owners is not None and owners != list(range(bench.n)):
            moved.append(f"H_{target} of streams {', '.join(str(owner + 1) for owner in owners)}")
    has_order = options.family.residual == "sinkhorn" and bench.n > 2 and "res" in bench.roles.bias
    if has_order and bench.list_owners("res") is not None and find_layout(bench) == "neither":
        moved.append("H_res in an order that is neither (output, input) nor (input, output)")
    show = "print({target: bench.list_owners(target) for target in bench.roles.bias})"
    measured = f"entries 1 to {bench.n} move {' and '.join(moved)}" if moved else "the same order"
    likely = "an index of streams that is off by one, a roll or a flip between reading and writing"
    return judge(name, statement, "the same order", measured, show, likely, is_right=not moved)


def _lacks_res(bench: Bench, options: FamilyOptions) -> bool:
    """Return whether a bias of H_res is missing although H_pre and H_post have biases."""
    known = bench.roles.bias.keys() | bench.roles.phi.keys()
    return "res" in options.targets and "res" not in known and {"pre", "post"} <= bench.roles.bias.keys()


@torch.no_grad()
def check_dynamic(bench: Bench, options: FamilyOptions) -> ModuleCheck:
    """Check that the mixing coefficients differ between tokens."""
    name, statement = "dynamic part", "coefficients come from the state of each token"
    bench.reset()
    values = _name_matrices(bench.observe())
    spread = {t: (values[t] - values[t][:1, :1]).abs().max().item() for t in options.targets if t in values}
    if max(spread.values()) < VARIES:
        unused = [name for name in bench.roles.dead if bench.subject.module.get_parameter(name).numel() >= bench.width]
        if not unused:
            raise NotApplicable("coefficients are static: no parameter is a projection")
        measured = f"none; {', '.join(unused)} unused"
        return fails(
            name, statement, "differences between tokens", measured, _SHOW, "a projection that is created and not used"
        )
    if _lacks_res(bench, options):
        spread.pop("res", None)
    still = [f"H_{target}" for target, value in spread.items() if value < VARIES]
    if still:
        measured, likely = f"none in {', '.join(still)}", "a static part alone, where others are dynamic"
        return fails(name, statement, "differences between tokens", measured, _SHOW, likely)
    return holds(name, statement)


_SHOW = "print(bench.observe().h_pre.std((0, 1)), bench.observe().h_post.std((0, 1)))"


@torch.no_grad()
def check_gate(bench: Bench, options: FamilyOptions) -> ModuleCheck:
    """Check that the logits of the mixing are linear in a gate."""
    name, statement = "gate", "a gate multiplies the dynamic part of each logit, and nothing else"
    if not options.family.reads_streams:
        raise NotApplicable("this family has no gates")
    dynamic = [target for target in options.targets if target in bench.roles.phi]
    if not dynamic and bench.is_dynamic:
        raise NotMeasured("coefficients come from the state, but no parameter moves one of them alone")
    if not dynamic:
        raise NotApplicable("coefficients are static")
    show = "print(bench.roles.gate)"
    missing = [f"H_{target}" for target in dynamic if target not in bench.roles.gate]
    if missing and bench.roles.entangled:
        raise NotMeasured("parameters of H_res move other coefficients too: see bias")
    if missing:
        likely = "a gate that is left out, or that is no parameter"
        return fails(name, statement, "one gate for each", f"none for {', '.join(missing)}", show, likely)
    gated = [f"H_{target}" for target in dynamic if _has_gated_bias(bench, target)]
    if gated:
        measured = f"no effect of the bias of {', '.join(gated)} where the gates are 0"
        return fails(
            name,
            statement,
            "a bias outside the gate",
            measured,
            show,
            "the gate multiplies the bias too: a (v phi + b)",
        )
    steps = [_logits_at_gate(bench, options, gate) for gate in (0.0, 0.5, 1.0)]
    worst = 0.0
    for target in set(dynamic) & steps[0].keys():
        zero, half, whole = (step[target] for step in steps)
        size = (whole - zero).abs().max().clamp_min(1e-30)
        bent = ((whole - zero) - 2 * (half - zero)).abs().max() / size
        rest = (zero - zero[:1, :1]).abs().max() / size
        worst = max(worst, bent.item(), rest.item())
    measured = f"{format_number(worst)} of the change is not linear"
    likely = "a sigmoid, a tanh or another map around the gate"
    return judge(name, statement, "a dynamic part linear in the gate", measured, show, likely, is_right=worst < BENT)


def _has_gated_bias(bench: Bench, target: str) -> bool:
    """Return whether a bias has no effect if all gates are zero, although it has one otherwise."""
    if target not in bench.roles.bias:
        return False
    changes = []
    for gate in (0.0, 0.6):
        bench.reset()
        bench.set_entries(list(bench.roles.gate.values()), gate)
        before = _name_matrices(bench.observe())[target]
        bench.set_entries(bench.roles.bias[target][:1], 3.0)
        changes.append((_name_matrices(bench.observe())[target] - before).abs().max().item())
    bench.reset()
    return changes[0] < 0.01 * changes[1]


def _logits_at_gate(bench: Bench, options: FamilyOptions, gate: float) -> dict[str, torch.Tensor]:
    """Return the logits of the coefficients with all gates set to a value, or the coefficients if they have no logits.

    Logits of H_res are known up to constants of rows and columns, which centring removes.
    """
    bench.reset()
    bench.set_entries(list(bench.roles.gate.values()), gate)
    found = {target: value.double() for target, value in _name_matrices(bench.observe()).items()}
    bench.reset()
    if not options.family.pre:
        return found
    laws = {"sigmoid": 1.0, "2 sigmoid": 2.0}
    for target in ("pre", "post"):
        most = laws.get(find_law(bench, target)[0]) if target in bench.roles.bias else None
        value = found.pop(target)
        if most is not None:
            found[target] = torch.logit(value / most, 1e-7)
    if "res" in found and not _takes_exp(bench, options):
        del found["res"]
    if "res" in found:
        found["res"] = center(found["res"].clamp_min(1e-30).log())
    return found


def _takes_exp(bench: Bench, options: FamilyOptions) -> bool:
    """Return whether H_res is computed from exp of its logits by Sinkhorn rounds."""
    if options.family.residual != "sinkhorn" or "res" not in bench.roles.bias:
        return False
    made = fit_h_res(bench, options)
    return made.mild_fit.law.positive == "exp" and made.slow_fit.error < FITS


@torch.no_grad()
def check_norm(bench: Bench, options: FamilyOptions) -> ModuleCheck:
    """Check that multiplying a state by a number does not change the mixing coefficients."""
    bench.reset()
    if not bench.roles.phi and not bench.roles.gain:
        if bench.is_dynamic:
            raise NotMeasured("coefficients come from the state, but no projection was found")
        raise NotApplicable("coefficients are static")
    plain, *scaled = (_name_matrices(bench.observe(scale * bench.x)) for scale in (1.0, *SCALES))
    targets = plain.keys() - (set() if options.family.reads_streams else {"pre"})
    change = max((plain[target] - other[target]).abs().max().item() for target in targets for other in scaled)
    return judge(
        "norm",
        "the state is normalised before it is projected",
        f"the same coefficients for {' and '.join(f'{scale:g}' for scale in SCALES)} times the state",
        f"differences up to {format_number(change)}",
        f"for scale in {(1.0, *SCALES)}:\n    print(bench.observe(scale * bench.x).h_pre[0, 0])",
        "a norm that is left out, with an eps above 1e-3, or applied to the streams instead of the projection's input",
        is_right=change < 1e-3,
    )


def _name_matrices(observed: ObservedMixing) -> dict[str, torch.Tensor]:
    """Return H_pre, H_post and, if known, H_res by target: "pre", "post" and "res"."""
    found = {"pre": observed.h_pre, "post": observed.h_post}
    return found if observed.h_res is None else found | {"res": observed.h_res}
