"""Check in which direction H_res is applied, and how it is made doubly stochastic."""

from typing import NamedTuple

import torch

from mhc_probe.conformance.bench import BASE, Bench, NotApplicable, NotMeasured
from mhc_probe.conformance.laws import POSITIVE, Fit, draw_slow_logits, fit_sinkhorn
from mhc_probe.conformance.module_check import ModuleCheck, design, fails, format_number, holds, judge, to_code
from mhc_probe.conformance.options import FamilyOptions

SUM = 0.02  # allowed error of a sum for mild logits; rounds and eps cause less
FITS = 1e-3  # largest error up to which a law explains the matrix
CLAMPS = (0.5, 1, 2, 3, 4, 5, 6, 8, 10)
WIDE = 100.0  # a logit whose exponential overflows float32
COARSE = 0.03  # largest error up to which the map is right; above FITS it is too inaccurate to count rounds


class SinkhornFit(NamedTuple):
    """H_res (n, n) for two matrices of logits, and the laws that fit best.

    `mild`: small positive logits, to find the map before the rounds. `slow`: logits for which the rounds converge
    slowly, to find order, rounds and eps.
    """

    mild: torch.Tensor
    mild_matrix: torch.Tensor
    mild_fit: Fit
    slow: torch.Tensor
    slow_matrix: torch.Tensor
    slow_fit: Fit


def fit_h_res(bench: Bench, options: FamilyOptions) -> SinkhornFit:
    """Return the laws that fit H_res for mild and for slow logits. They are measured once per bench."""
    if options.family.residual != "sinkhorn":
        raise NotApplicable("this family does not make H_res with Sinkhorn's rounds")
    kept: SinkhornFit | None = bench.notes.get("sinkhorn")
    if kept is None:
        generator = torch.Generator().manual_seed(bench.seed)
        mild = 0.5 + 2 * torch.rand(bench.n, bench.n, generator=generator)
        slow = draw_slow_logits(bench.n, options.rounds, bench.seed)
        matrices = [get_matrix(bench, logits) for logits in (mild, slow)]
        fits = [fit_sinkhorn(mild, matrices[0], tuple(POSITIVE)), fit_sinkhorn(slow, matrices[1])]
        bench.notes["sinkhorn"] = kept = SinkhornFit(mild, matrices[0], fits[0], slow, matrices[1], fits[1])
    return kept


def get_matrix(bench: Bench, logits: torch.Tensor) -> torch.Tensor:
    """Return the module's H_res (n, n) for these logits."""
    h_res = bench.mixing(res=logits).h_res
    if h_res is None:
        raise NotMeasured("no H_res was found")
    return h_res.mean((0, 1)).cpu()


def get_law(bench: Bench, options: FamilyOptions) -> Fit:
    """Return the law of Sinkhorn's rounds that fits H_res for logits for which the rounds converge slowly.

    Raises
    ------
    NotMeasured
        If no law explains H_res.
    """
    made = fit_h_res(bench, options)
    if made.mild_fit.law.positive != "exp" or made.mild_fit.error > COARSE:
        raise NotMeasured("logits are not exponentiated: see exp")
    if made.mild_fit.law.halves != "both":
        raise NotMeasured(f"{made.mild_fit.law.halves} are normalised: see rows and columns")
    if made.slow_fit.error > FITS:
        difference = format_number(made.slow_fit.error)
        raise NotMeasured(f"no law explains H_res better than to {difference}: too coarse, or another method")
    return made.slow_fit


def find_layout(bench: Bench) -> str:
    """Return in which order a parameter stores the logits of H_res, by index of the matrix.

    "output first", "input first", or "input next to H_pre" if one matrix contains H_pre and H_res as in HC. "neither"
    for another order, and for two streams, where the order makes no difference.
    """
    ordered, plain, n = bench.require_bias("res"), bench.roles.bias["res"], bench.n
    shape = bench.subject.module.get_parameter(plain[0].name).shape
    if bench.roles.bias.get("pre", plain)[0].name == plain[0].name and len(shape) == 2 and shape[0] == n < shape[1]:
        return "input next to H_pre"
    if n == 2:
        return "neither"
    if ordered == plain:
        return "output first"
    if ordered == [plain[j * n + i] for i in range(n) for j in range(n)]:
        return "input first"
    return "neither"


def check_orientation(bench: Bench, options: FamilyOptions) -> ModuleCheck:
    """Check that the sums that Sinkhorn's rounds make exact last are over the rows, one per output stream.

    Source: mHC paper, Eq. 3 and Eq. 9.
    """
    name, statement = "orientation", "rows of H_res, which the rounds leave exact, index the output"
    if options.family.residual == "free":
        return _check_free(bench)
    last, layout = get_law(bench, options).law.last, find_layout(bench)
    if is_applied_elsewhere(bench):
        how = "as it is" if last == "rows" else "transposed"
        raise NotApplicable(f"other code applies the returned matrix; it must do so {how}, for its {last} are exact")
    if last == "rows":
        return holds(name, statement, "" if layout == "neither" else f"logits stand {layout}")
    if layout == "input next to H_pre":
        return design(name, "rows index the input, as where H_pre and H_res share one matrix")
    matrix = fit_h_res(bench, options).slow_matrix
    rows, columns = (format_number((matrix.sum(dim) - 1).abs().max().item()) for dim in (1, 0))
    measured = f"H_res is applied transposed: row sums up to {rows} off, column sums {columns}"
    if layout == "input first" or _is_returned_as_applied(bench):
        likely = "H_res is applied transposed, as x.mT @ H_res or by an einsum whose indices are swapped"
        return fails(
            name, statement, "exact row sums", measured, _format_reproduction(fit_h_res(bench, options).slow), likely
        )
    raise NotMeasured("it cannot be distinguished from a swapped order of the rounds: see order")


def is_applied_elsewhere(bench: Bench) -> bool:
    """Return whether code that was not given applies H_res, so that its direction is unknown."""
    return bench.subject(bench.x).write is None


def _is_returned_as_applied(bench: Bench) -> bool:
    """Return whether the given `write` applies the returned matrix unchanged, so that it decides the direction."""
    returned, applied = bench.subject(bench.x).h_res, bench.observe().h_res
    if bench.subject.write is None or returned is None or applied is None:
        return False
    return bool((returned - applied).abs().max() < FITS)


def _check_free(bench: Bench) -> ModuleCheck:
    """Check that an unconstrained H_res (A_r) is transposed before use: its stored rows are input streams.

    This can be measured only if A_r is stored next to H_pre (A_m).
    """
    name, statement = "orientation", "rows of A_r, which is stored next to A_m, index the input"
    layout = find_layout(bench)
    if layout != "input next to H_pre":
        raise NotApplicable("separately stored free matrices have no direction that can be measured")
    plain, n = bench.roles.bias["res"], bench.n
    is_input_first = bench.require_bias("res") == [plain[j * n + i] for i in range(n) for j in range(n)]
    show = "print(bench.mixing(res=torch.arange(16.).view(4, 4)).h_res[0, 0])"
    likely = "A_r is applied without the transpose"
    return judge(
        name, statement, "A_r applied transposed", "A_r as it is stored", show, likely, is_right=is_input_first
    )


def check_exp(bench: Bench, options: FamilyOptions) -> ModuleCheck:
    """Check that Sinkhorn's rounds start from M_0 = exp(t_res)."""
    made = fit_h_res(bench, options)
    law, error = made.mild_fit
    name, statement = "exp", "logits are exponentiated before the rounds"
    if error < COARSE and law.positive == "exp":
        return _check_clamp(made)
    if error >= COARSE and any((made.mild_matrix.sum(dim) - 1).abs().max() > SUM for dim in (0, 1)):
        raise NotMeasured("sums of H_res are not 1: see rows and columns")
    measured = (
        law.positive if error < COARSE else f"no known map (nearest: {law.positive}, off by {format_number(error)})"
    )
    negative = fit_sinkhorn(-made.mild, made.mild_matrix).error < COARSE
    likely = "the sign of the logits is wrong" if negative else "a map that is not exp, or logits that are scaled"
    return fails(name, statement, "exp", measured, _format_reproduction(made.mild), likely)


def _check_clamp(made: SinkhornFit) -> ModuleCheck:
    """Check that large logits are exponentiated too, and not clamped first."""
    name, statement = "exp", "logits are exponentiated before the rounds"
    if made.slow_fit.error < FITS:
        return holds(name, statement, "exp")
    for limit in CLAMPS:
        if fit_sinkhorn(made.slow.clamp(-limit, limit), made.slow_matrix).error < FITS:
            likely = "logits are clamped before the exponential"
            return fails(
                name, statement, "exp", f"exp of logits clamped to {limit:g}", _format_reproduction(made.slow), likely
            )
    if made.slow_fit.error < COARSE:
        return holds(name, statement, "exp")
    away, most = format_number(made.slow_fit.error), format_number(made.slow.abs().max().item())
    measured = f"exp for small logits alone; up to {away} away for logits up to {most}"
    return fails(
        name,
        statement,
        "exp",
        measured,
        _format_reproduction(made.slow),
        "logits are limited, or rounds that are not Sinkhorn's",
    )


def check_rows(bench: Bench, options: FamilyOptions) -> ModuleCheck:
    """Check that the rows of H_res sum to 1."""
    return _check_sums(bench, options, "rows", 1)


def check_columns(bench: Bench, options: FamilyOptions) -> ModuleCheck:
    """Check that the columns of H_res sum to 1."""
    return _check_sums(bench, options, "columns", 0)


def _check_sums(bench: Bench, options: FamilyOptions, name: str, dim: int) -> ModuleCheck:
    """Check that H_res sums to 1 over an axis: on the bench's state if H_res is exact by construction, else for mild
    logits.
    """
    if options.family.residual == "doubly stochastic":
        h_res = bench.observe().h_res
        if h_res is None:
            raise NotMeasured("no H_res was found")
        sums, show = h_res.sum(dim - 2), f"print(bench.observe().h_res.sum({dim - 2}))"
    else:
        made = fit_h_res(bench, options)
        sums, show = made.mild_matrix.sum(dim), _format_reproduction(made.mild)
    worst = sums.flatten()[(sums - 1).abs().argmax()].item()
    likely = (
        "the residual is added a second time" if abs(worst - 2) < SUM else f"{name} are not normalised, or too seldom"
    )
    return judge(
        name, f"{name} of H_res sum to 1", "1", format_number(worst), show, likely, is_right=abs(worst - 1) < SUM
    )


def check_order(bench: Bench, options: FamilyOptions) -> ModuleCheck:
    """Check that Sinkhorn's rounds divide columns first and rows last."""
    name, statement = "order", "each round divides columns, then rows"
    last, layout = get_law(bench, options).law.last, find_layout(bench)
    if is_applied_elsewhere(bench) and last == "columns":
        raise NotApplicable("it depends on how other code applies the returned matrix: see orientation")
    if last == "rows":
        return holds(name, statement)
    if layout == "input next to H_pre":
        return design(name, "rounds end on the axis of inputs, as H_pre is stored next to H_res")
    if layout == "input first" or _is_returned_as_applied(bench):
        return holds(name, f"{statement}, of the matrix as it is stored")
    measured = "rows first, columns last; or a matrix made for its transpose, which is applied as it is"
    likely = "the two divisions of a round are swapped"
    return fails(
        name,
        statement,
        "columns first, rows last",
        measured,
        _format_reproduction(fit_h_res(bench, options).slow),
        likely,
    )


def check_rounds(bench: Bench, options: FamilyOptions) -> ModuleCheck:
    """Check the number of Sinkhorn's rounds."""
    rounds = get_law(bench, options).law.rounds
    show, expected = _format_reproduction(fit_h_res(bench, options).slow), f"{options.rounds} rounds"
    likely = "another number of rounds, or half rounds that are counted as rounds; say another number with rounds="
    return judge("rounds", "rounds of Sinkhorn", expected, str(rounds), show, likely, is_right=rounds == options.rounds)


def check_eps(bench: Bench, options: FamilyOptions) -> ModuleCheck:
    """Check that the eps in Sinkhorn's sums is small."""
    eps, most = get_law(bench, options).law.eps, options.max_eps
    show = _format_reproduction(fit_h_res(bench, options).mild)
    measured = f"about {eps:g}"
    likely = "an eps that was chosen for float16; say another one with eps="
    return judge(
        "eps", "what is added to sums is small", f"at most {most:g}", measured, show, likely, is_right=eps <= most
    )


@torch.no_grad()
def check_wide(bench: Bench, options: FamilyOptions) -> ModuleCheck:
    """Check that large equal logits give a uniform H_res, also if they are 100 for one token and -100 for the next."""
    name, statement = "wide logits", "a constant added to all logits of one token does not change its H_res"
    if options.family.residual != "sinkhorn":
        raise NotApplicable("this family does not make H_res with Sinkhorn's rounds")
    far = bench.mixing(res=torch.full((bench.n, bench.n), WIDE)).h_res
    if far is None:
        raise NotMeasured("no H_res was found")
    if not _is_uniform(far):
        return design(name, f"the exponential overflows for logits of {WIDE:g}: subtract their maximum")
    if "res" not in bench.roles.phi:
        return holds(name, statement)
    h_res = shift_tokens(bench)
    if h_res is None or _is_uniform(h_res):
        return holds(name, statement)
    measured = f"entries from {format_number(h_res.min().item())} to {format_number(h_res.max().item())}"
    show = "from mhc_probe.conformance.sinkhorn import shift_tokens\nprint(shift_tokens(bench)[0])"
    likely = "the maximum of all tokens is subtracted, so that all exponentials of a token with smaller logits are 0"
    return fails(name, statement, f"entries of {1 / bench.n:g}", measured, show, likely)


@torch.no_grad()
def shift_tokens(bench: Bench) -> torch.Tensor | None:
    """Return H_res (B, T, n, n) for logits that are equal within a token: about -100 and 100, alternating by token."""
    places, entries = bench.require_bias("res"), bench.roles.phi["res"]
    bench.reset()
    bench.set_entries(places, BASE - bench.res_offset)
    if "res" in bench.roles.gate:
        bench.set_entries([bench.roles.gate["res"]], 1.0)
    flat = bench.subject.module.get_parameter(entries.name).view(-1)
    flat[entries.indices.to(flat.device)] = WIDE * bench.n**2 / len(entries.indices)
    signs = torch.ones(bench.x.shape[:2]).to(bench.x)
    signs[:, ::2] = -1
    h_res = bench.observe(bench.x + 8 * signs[..., None, None]).h_res
    bench.reset()
    return h_res


def _is_uniform(h_res: torch.Tensor) -> bool:
    return bool(((h_res - 1 / h_res.shape[-1]).abs() < SUM).all())


def _format_reproduction(logits: torch.Tensor) -> str:
    """Return code that prints H_res and its sums for these logits."""
    code = f"h_res = bench.mixing(res={to_code(logits)}).h_res[0, 0]\n"
    return f"{code}print(h_res, h_res.sum(0), h_res.sum(1))"
