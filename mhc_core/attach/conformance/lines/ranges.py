"""H_pre and H_post of chosen logits: which map of single numbers they follow."""

import torch

from mhc_core.attach.conformance.bench import Bench, NotApplicable
from mhc_core.attach.conformance.claim import Claim
from mhc_core.attach.conformance.laws import fit_scalar
from mhc_core.attach.conformance.lines.verdicts import format_number, judge
from mhc_core.attach.conformance.report import Line

CLOSE = 0.02
VALUES = (-30.0, -2.0, 0.0, 1.0, 30.0)


def check_pre(bench: Bench, claim: Claim) -> Line:
    """H_pre = sigmoid(t_pre)."""
    return _check(bench, "pre", claim.family.pre)


def check_post(bench: Bench, claim: Claim) -> Line:
    """H_post = 2 sigmoid(t_post)."""
    return _check(bench, "post", claim.family.post)


def _check(bench: Bench, target: str, expected: str) -> Line:
    if not expected:
        raise NotApplicable("this family does not bound it")
    if target not in bench.roles.bias:
        return _check_bounds(bench, target, expected)
    law, error, low, high = find_law(bench, target)
    limits = f"from {format_number(low)} to {format_number(high)}"
    got = f"{law}, {limits}" if error < CLOSE else f"no known map, {limits}"
    return judge(
        f"range of H_{target}",
        f"H_{target} = {expected} of its logits",
        expected,
        got,
        f"for t in (-30.0, 0.0, 30.0):\n    print(bench.mixing({target}=torch.full(({bench.n},), t)).h_{target}[0, 0])",
        is_right=law == expected and error < CLOSE,
    )


def find_law(bench: Bench, target: str) -> tuple[str, float, float, float]:
    """The map of single logits that a target follows, by how much it misses, and the least and largest value seen.

    Raises
    ------
    NotApplicable
        Where the target has no bias.
    """
    logits = torch.tensor(VALUES).unsqueeze(1) + 0.3 * torch.arange(bench.n)
    rows = []
    for row in logits:
        observed = bench.mixing(pre=row) if target == "pre" else bench.mixing(post=row)
        rows.append((observed.h_pre if target == "pre" else observed.h_post).mean((0, 1)).cpu())
    law, error = fit_scalar(logits, torch.stack(rows))
    return law, error, rows[0].min().item(), rows[-1].max().item()


def _check_bounds(bench: Bench, target: str, expected: str) -> Line:
    """Without a bias: states that saturate the logits."""
    if target not in bench.roles.phi:
        raise NotApplicable(f"nothing was found that one could set H_{target} with")
    bench.reset()
    bench.scale_entries(bench.roles.phi[target], 1e4)
    observed = bench.observe()
    bench.reset()
    got = observed.h_pre if target == "pre" else observed.h_post
    low, high, most = got.min().item(), got.max().item(), 2.0 if expected.startswith("2") else 1.0
    return judge(
        f"range of H_{target}",
        f"H_{target} = {expected} of its logits, seen at its limits",
        f"0 to {most:g}",
        f"{format_number(low)} to {format_number(high)}",
        f"print(bench.observe().h_{target}.aminmax())",
        is_right=abs(low) < CLOSE and abs(high - most) < CLOSE,
    )
