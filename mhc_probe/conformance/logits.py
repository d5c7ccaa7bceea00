"""Check that logits depend on the state as t = a (v phi) / rms(v) + b, without assumptions about the parameters.

Logits are recovered from the coefficients of two states, x and -x. By the equation, their even part (t(x) + t(-x)) / 2
is the bias, and their odd part times rms(x) is linear in the state.
"""

import torch

from mhc_probe.conformance.bench import VISIBLE, Bench, NotApplicable, NotMeasured, center
from mhc_probe.conformance.module_check import ModuleCheck, design, fails, format_number, holds
from mhc_probe.conformance.options import FamilyOptions
from mhc_probe.conformance.ranges import follows_law

BENT = 0.02  # allowed error, relative to the largest odd part
SHOW = (
    "from mhc_probe.conformance.logits import measure_even, measure_odd\n"
    "one, two = bench.x + 0.5, bench.draw(*bench.x.shape, salt=97)\n"
    "print(measure_even(bench, one)['pre'][0, 0], measure_even(bench, 8 * one)['pre'][0, 0])\n"
    "joint, *parts = (measure_odd(bench, x)['pre'] for x in (one + two, one, two))\n"
    "print((joint - sum(parts))[0, 0])"
)

Logits = dict[str, torch.Tensor]


@torch.no_grad()
def check_logits(bench: Bench, options: FamilyOptions) -> ModuleCheck:
    """Check that the logits are t = a (v phi) / rms(v) + b: mHC paper, Eq. 7."""
    name, statement = "logits", "logits are a bias and a linear map of the state over its rms"
    if options.family.pre != "sigmoid":
        raise NotApplicable("this family makes its coefficients in another way")
    bench.reset()
    if not bench.is_dynamic:
        raise NotApplicable("coefficients are static")
    targets = _list_targets(bench, options)
    if not targets:
        raise NotMeasured("no coefficient follows the law from which its logits could be recovered")
    one, two = bench.x + 0.5, 2 * bench.draw(*bench.x.shape, salt=97) - 0.3
    size = _find_largest(measure_odd(bench, one, targets))
    evens = [measure_even(bench, x, targets) for x in (one, two, 8 * one)]
    drift = max(_find_distance(evens[0], other) for other in evens[1:]) / size
    if not drift < BENT:
        is_divided = _find_distance(evens[0], {k: 8 * v for k, v in evens[2].items()}) < 0.1 * _find_largest(evens[0])
        likely = (
            "the bias is divided by the rms too" if is_divided else "a part of the logits that is even in the state"
        )
        measured = f"a bias that differs from state to state by {format_number(drift)} of the dynamic part"
        return fails(name, statement, f"the same bias for all states, to {BENT:g}", measured, SHOW, likely)
    joint, parts = (
        measure_odd(bench, one + two, targets),
        [measure_odd(bench, x, targets) for x in (one, two)],
    )
    bent = _find_distance(joint, {k: parts[0][k] + parts[1][k] for k in targets}) / size
    if bent < BENT:
        return holds(name, statement, f"{format_number(bent)} of the dynamic part is not linear")
    measured = f"{format_number(bent)} of the dynamic part is not linear"
    choice, likely = _explain(bench, one, targets)
    if choice:
        return design(name, choice, measured)
    return fails(name, statement, f"a linear map, to {BENT:g}", measured, SHOW, likely)


def _list_targets(bench: Bench, options: FamilyOptions) -> list[str]:
    """Return the coefficients whose logits can be recovered."""
    found = [target for target in ("pre", "post") if follows_law(bench, options, target)]
    h_res = bench.observe().h_res
    if options.family.residual == "sinkhorn" and h_res is not None and (h_res > VISIBLE).all():
        found.append("res")
    return found


def find_logits(bench: Bench, x: torch.Tensor, targets: list[str]) -> Logits:
    """Return logits of H_pre and H_post (B, T, n), and of H_res (B, T, n, n) up to constants of rows and columns."""
    observed = bench.observe(x)
    found = {
        "pre": torch.logit(observed.h_pre.double(), 1e-7),
        "post": torch.logit(observed.h_post.double() / 2, 1e-7),
    }
    if "res" in targets:
        assert observed.h_res is not None
        found["res"] = center(observed.h_res.double().clamp_min(1e-30).log())
    return {target: found[target] for target in targets}


def measure_even(bench: Bench, x: torch.Tensor, targets: list[str] | None = None) -> Logits:
    """Return the even part of the logits: equal for x and -x."""
    wanted = targets or ["pre", "post"]
    one, other = (find_logits(bench, state, wanted) for state in (x, -x))
    return {target: (one[target] + other[target]) / 2 for target in wanted}


def measure_odd(bench: Bench, x: torch.Tensor, targets: list[str] | None = None) -> Logits:
    """Return the odd part of the logits times rms(x), which is linear in the state for mHC."""
    wanted = targets or ["pre", "post"]
    one, other = (find_logits(bench, state, wanted) for state in (x, -x))
    rms = x.double().square().mean((-2, -1)).sqrt()
    return {t: (one[t] - other[t]) / 2 * rms.reshape(*rms.shape, *[1] * (one[t].ndim - 2)) for t in wanted}


def _explain(bench: Bench, x: torch.Tensor, targets: list[str]) -> tuple[str, str]:
    """Return a design that explains why logits are not linear, and the likely mistake; one of the two is empty."""
    base, size = find_logits(bench, x, targets), _find_largest(measure_odd(bench, x, targets))

    def are_logits_unchanged(state: torch.Tensor, chosen: list[str] = targets, stream: int | None = None) -> bool:
        """Return whether the logits of the chosen targets equal those of `base`, for streams from `stream` on."""
        now = find_logits(bench, state, chosen)
        return all(
            (now[t] - base[t])[..., slice(None) if stream is None else slice(stream, None)].abs().max() < BENT * size
            for t in chosen
        )

    scales = torch.linspace(0.5, 2, bench.n).to(x).unsqueeze(-1)
    changed = x.clone()
    changed[..., 0, :] = bench.draw(*x[..., 0, :].shape, salt=98)
    single = [target for target in targets if target != "res"]
    if are_logits_unchanged(x * scales):
        if single and are_logits_unchanged(changed, single, stream=1):
            return "each stream is normalised by itself and makes its own logits, as in HC", ""
        return "", "each stream is normalised by itself, where all of them together are one vector"
    if are_logits_unchanged(x + 2):
        return "", "the norm subtracts the mean"
    if are_logits_unchanged(x.flip(-2)):
        return "", "coefficients are made of the sum or the mean of the streams, where the streams are one long vector"
    if not are_logits_unchanged(8 * x):
        return "", "the state is not normalised, or with a large eps"
    return "", "a tanh or another map around the projection, which HC has and mHC has not"


def _find_distance(one: Logits, other: Logits) -> float:
    return max((one[target] - other[target]).abs().max().item() for target in one)


def _find_largest(logits: Logits) -> float:
    return max(value.abs().max().item() for value in logits.values())
