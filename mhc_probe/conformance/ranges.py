"""Check which function maps logits to H_pre and H_post, such as a sigmoid."""

import torch

from mhc_probe.conformance.bench import Bench, NotApplicable, NotMeasured
from mhc_probe.conformance.laws import fit_scalar
from mhc_probe.conformance.module_check import ModuleCheck, format_number, judge
from mhc_probe.conformance.options import FamilyOptions

CLOSE = 0.006  # allowed error: bfloat16 causes 0.004, which `precision` finds; a clamp at 5 causes 0.0067
VALUES = (-30.0, -2.0, 0.0, 1.0, 30.0)


def check_pre(bench: Bench, options: FamilyOptions) -> ModuleCheck:
    """Check that H_pre = sigmoid(t_pre)."""
    return _check_map(bench, "pre", options.family.pre)


def check_post(bench: Bench, options: FamilyOptions) -> ModuleCheck:
    """Check that H_post = 2 sigmoid(t_post)."""
    return _check_map(bench, "post", options.family.post)


def _check_map(bench: Bench, target: str, expected: str) -> ModuleCheck:
    """Check that H_pre or H_post is the function `expected` of its logits; "" if the family does not state one."""
    if not expected:
        raise NotApplicable("this family does not bound it")
    if target not in bench.roles.bias:
        return _check_bounds(bench, target, expected)
    law, error, low, high = find_law(bench, target)
    limits = f"from {format_number(low)} to {format_number(high)}"
    measured = f"{law}, {limits}" if error < CLOSE else f"no known map, {limits}"
    return judge(
        f"range of H_{target}",
        f"H_{target} = {expected} of its logits",
        expected,
        measured,
        f"for t in (-30.0, 0.0, 30.0):\n    print(bench.mixing({target}=torch.full(({bench.n},), t)).h_{target}[0, 0])",
        _explain(target, law if error < CLOSE else ""),
        is_right=law == expected and error < CLOSE,
    )


def _explain(target: str, law: str) -> str:
    """Return the likely mistake of a module whose coefficients follow `law`; "" if no known law fits."""
    if not law:
        return f"logits that are clamped, or H_{target} that is scaled or multiplied with something else"
    known = {
        ("pre", "2 sigmoid"): "H_pre and H_post are swapped",
        ("pre", "sigmoid / n"): "the branch reads the mean of the weighted streams, not their sum",
        ("post", "sigmoid"): "the factor 2 of H_post is missing",
    }
    return known.get((target, law), f"H_{target} is {law}")


def follows_law(bench: Bench, options: FamilyOptions, target: str) -> bool:
    """Return whether H_pre or H_post follows the map of the family. True if there is no bias to test it with."""
    if target not in bench.roles.bias:
        return True
    expected = options.family.pre if target == "pre" else options.family.post
    try:
        law, error, _, _ = find_law(bench, target)
    except NotMeasured:
        return False
    return law == expected and error < CLOSE


def find_law(bench: Bench, target: str) -> tuple[str, float, float, float]:
    """Return the law that best explains a target, its error, and the smallest and largest measured value.

    Raises
    ------
    NotMeasured
        If the target has no bias to set.
    """
    logits = torch.tensor(VALUES).unsqueeze(1) + 0.3 * torch.arange(bench.n)
    rows = []
    for row in logits:
        observed = bench.mixing(pre=row) if target == "pre" else bench.mixing(post=row)
        rows.append((observed.h_pre if target == "pre" else observed.h_post).mean((0, 1)).cpu())
    law, error = fit_scalar(logits, torch.stack(rows))
    return law, error, rows[0].min().item(), rows[-1].max().item()


def _check_bounds(bench: Bench, target: str, expected: str) -> ModuleCheck:
    """Check the bounds of H_pre or H_post without a bias: scale the projection until the logits saturate."""
    if target not in bench.roles.phi:
        raise NotMeasured(f"no bias and no projection of H_{target} alone was found")
    bench.reset()
    bench.scale_entries(bench.roles.phi[target], 1e4)
    observed = bench.observe()
    bench.reset()
    values = observed.h_pre if target == "pre" else observed.h_post
    low, high, most = values.min().item(), values.max().item(), 2.0 if expected.startswith("2") else 1.0
    return judge(
        f"range of H_{target}",
        f"H_{target} = {expected} of its logits, seen at its limits",
        f"0 to {most:g}",
        f"{format_number(low)} to {format_number(high)}",
        f"print(bench.observe().h_{target}.aminmax())",
        f"another map than {expected}, or H_{target} that does not come from the state that is read",
        is_right=abs(low) < CLOSE and abs(high - most) < CLOSE,
    )
