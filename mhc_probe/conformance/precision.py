"""Check that the map from logits to coefficients is computed in float32, for all types of parameters and states."""

from copy import deepcopy

import torch

from mhc_probe.conformance.bench import Bench, NotApplicable, NotMeasured
from mhc_probe.conformance.module_check import ModuleCheck, design, fails, format_number, holds, judge
from mhc_probe.conformance.options import FamilyOptions

SWEEP = 33  # number of logits within 1/256, which bfloat16 does not resolve between 1 and 2
START, SPAN, WIDE = 1.3, 2.0**-8, 0.25
ROUGH = 0.05
LIFT = 32.0  # added to all logits of H_res; changes nothing in float32, but bfloat16 then has steps of 0.25
COARSE = 0.02  # largest allowed error of H_res; states in bfloat16 cause 0.005, a map in bfloat16 more than 0.05


@torch.no_grad()
def check_precision(bench: Bench, options: FamilyOptions) -> ModuleCheck:
    """Check that coefficients change smoothly over logits within 1/256, which bfloat16 and float16 would round."""
    if not options.family.reads_streams:
        raise NotApplicable("this family has no biases")
    known = [target for target in options.targets if target in bench.roles.bias]
    if not known:
        raise NotMeasured("no bias was found")
    rough = {target: _find_roughness(bench, target) for target in known}
    worst = max(rough, key=lambda target: rough[target])
    return judge(
        "precision",
        "the mapping is computed in float32",
        "coefficients that follow their logits smoothly",
        f"steps of {format_number(100 * rough[worst])} % in H_{worst}"
        + (", as bfloat16 or float16 make them" if rough[worst] >= ROUGH else ""),
        f"for t in (1.3, 1.301, 1.302, 1.303):\n    logits = torch.ones({_format_shape(bench, worst)})\n"
        f"    logits[0] = t\n    print(bench.mixing({worst}=logits).h_{worst}[0, 0])",
        "logits or coefficients that are cast to the type of the state, or computed under autocast",
        is_right=rough[worst] < ROUGH,
    )


def _format_shape(bench: Bench, target: str) -> str:
    return f"({bench.n}, {bench.n})" if target == "res" else f"({bench.n},)"


def _find_roughness(bench: Bench, target: str) -> float:
    """Return how far a coefficient is from a parabola over a short range of logits, relative to its expected change."""
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
    """Return the first entry of H_pre, H_post or H_res for one value of its logit. All other logits are 1."""
    values = torch.ones(len(bench.require_bias(target)))
    values[0] = logit
    observed = bench.mixing(**{target: values})
    found = {"pre": observed.h_pre, "post": observed.h_post, "res": observed.h_res}[target]
    assert found is not None
    return found.double().mean((0, 1)).flatten()[0].cpu()


@torch.no_grad()
def check_low_precision(bench: Bench, options: FamilyOptions) -> ModuleCheck:
    """Check that the mapping is computed in float32 with parameters and states in bfloat16."""
    name, statement = (
        "precision in bfloat16",
        "with parameters and states in bfloat16, the mapping is computed in float32",
    )
    if options.family.residual != "sinkhorn":
        raise NotApplicable("it is seen in H_res of Sinkhorn's rounds alone")
    places = bench.require_bias("res")
    if not bench.is_dynamic:
        raise NotApplicable("coefficients are static")
    if "res" not in bench.roles.phi:
        raise NotMeasured("no projection of H_res was found")
    bench.reset()
    bench.set_entries(places, LIFT - bench.res_offset)
    low = deepcopy(bench.subject.module).bfloat16()
    bench.reset()
    x = bench.x.bfloat16()
    exact = bench.observe(x.to(bench.dtype), bench.subject.on(deepcopy(low).to(bench.dtype))).h_res
    try:
        coarse = bench.observe(x, bench.subject.on(low)).h_res
    except RuntimeError as refusal:
        raise NotApplicable(f"the module takes no states in bfloat16: {refusal}") from refusal
    assert exact is not None
    assert coarse is not None
    error = (coarse - exact).abs().max().item()
    if error < COARSE:
        return holds(name, statement)
    measured = f"H_res off by up to {format_number(error)}: it follows the type of the state"
    if options.dtype != "bfloat16":
        return design(name, "the mapping follows the type of the state: keep it in float32", measured)
    show = (
        f"places = bench.require_bias('res')\nbench.reset()\nbench.set_entries(places, {LIFT:g})\n"
        "low = bench.subject.on(bench.subject.module.bfloat16())\n"
        "print(bench.observe(bench.x.bfloat16(), low).h_res[0, 0])"
    )
    likely = "parameters and state that are not cast to float32 before the projection"
    return fails(
        name, statement, f"differences below {COARSE:g}, which states in bfloat16 leave", measured, show, likely
    )
