"""H_res of chosen logits: which way round it is applied, and how it was made doubly stochastic."""

from typing import NamedTuple

import torch

from mhc_core.attach.conformance.bench import Bench, NotApplicable
from mhc_core.attach.conformance.claim import Claim
from mhc_core.attach.conformance.laws import POSITIVE, Fit, draw_slow_logits, fit_sinkhorn
from mhc_core.attach.conformance.lines.verdicts import fails, format_number, holds, judge, to_code
from mhc_core.attach.conformance.report import Line

SUM = 0.02  # of a row or a column for mild logits: above what rounds and eps leave
FITS = 1e-3  # largest difference of a law that explains the matrix
COARSE = 0.03  # up to here the map is right, but computed too coarsely to tell rounds


class Made(NamedTuple):
    """H_res (n, n) of mild positive logits and of slow ones, and the laws that explain them best."""

    mild: torch.Tensor
    mild_matrix: torch.Tensor
    mild_fit: Fit
    slow: torch.Tensor
    slow_matrix: torch.Tensor
    slow_fit: Fit


def make(bench: Bench, claim: Claim) -> Made:
    """Measure both matrices, once a bench."""
    if claim.family.residual != "sinkhorn":
        raise NotApplicable("this family does not make H_res with Sinkhorn's rounds")
    kept: Made | None = bench.notes.get("sinkhorn")
    if kept is None:
        generator = torch.Generator().manual_seed(bench.seed)
        mild = 0.5 + 2 * torch.rand(bench.n, bench.n, generator=generator)
        slow = draw_slow_logits(bench.n, claim.rounds, bench.seed)
        matrices = [get_matrix(bench, logits) for logits in (mild, slow)]
        fits = [fit_sinkhorn(mild, matrices[0], tuple(POSITIVE)), fit_sinkhorn(slow, matrices[1])]
        bench.notes["sinkhorn"] = kept = Made(mild, matrices[0], fits[0], slow, matrices[1], fits[1])
    return kept


def get_matrix(bench: Bench, logits: torch.Tensor) -> torch.Tensor:
    """H_res (n, n) for these logits."""
    h_res = bench.mixing(res=logits).h_res
    if h_res is None:
        raise NotApplicable("no H_res was found")
    return h_res.mean((0, 1)).cpu()


def get_law(bench: Bench, claim: Claim) -> Fit:
    """The law of the slow logits, where one explains them."""
    made = make(bench, claim)
    if made.mild_fit.law.positive != "exp" or made.mild_fit.error > COARSE:
        raise NotApplicable("logits are not exponentiated: see exp")
    if made.mild_fit.law.halves != "both":
        raise NotApplicable(f"{made.mild_fit.law.halves} are normalised: see rows and columns")
    if made.slow_fit.error > FITS:
        difference = format_number(made.slow_fit.error)
        raise NotApplicable(f"no law explains H_res better than to {difference}: too coarse, or another method")
    return made.slow_fit


def find_layout(bench: Bench) -> str:
    """How logits stand in their parameter: "output first", "input first", or "input beside H_pre" as HC has them.

    "neither" where entries stand in another order, and with two streams, where it makes no difference.
    """
    ordered, plain, n = bench.need_bias("res"), bench.roles.bias["res"], bench.n
    shape = bench.subject.module.get_parameter(plain[0].name).shape
    if bench.roles.bias.get("pre", plain)[0].name == plain[0].name and len(shape) == 2 and shape[0] == n < shape[1]:
        return "input beside H_pre"
    if n == 2:
        return "neither"
    if ordered == plain:
        return "output first"
    if ordered == [plain[j * n + i] for i in range(n) for j in range(n)]:
        return "input first"
    return "neither"


def check_orientation(bench: Bench, claim: Claim) -> Line:
    """Rows of what Sinkhorn ends with are outputs: paper's mHC, Eq. 3 and Eq. 9."""
    name, why = "orientation", "rows of H_res, which the rounds leave exact, index the output"
    if claim.family.residual == "free":
        return _check_free(bench)
    last, layout = get_law(bench, claim).law.last, find_layout(bench)
    if is_left_to_others(bench):
        how = "as it is" if last == "rows" else "transposed"
        raise NotApplicable(f"other code applies the returned matrix; it must do so {how}, for its {last} are exact")
    if last == "rows":
        return holds(name, why, "" if layout == "neither" else f"logits stand {layout}")
    if layout == "input beside H_pre":
        return Line(name, "design", "design: rows index the input, as H_pre beside H_res in one matrix does")
    matrix = make(bench, claim).slow_matrix
    rows, columns = (format_number((matrix.sum(dim) - 1).abs().max().item()) for dim in (1, 0))
    got = f"H_res is applied transposed: row sums up to {rows} off, column sums {columns}"
    if layout == "input first" or _is_returned_as_applied(bench):
        return fails(name, why, "exact row sums", got, _show(make(bench, claim).slow))
    raise NotApplicable("it cannot be told from a swapped order of the rounds: see order")


def is_left_to_others(bench: Bench) -> bool:
    """Whether nothing is known of how H_res is applied."""
    return bench.subject(bench.x).write is None


def _is_returned_as_applied(bench: Bench) -> bool:
    """Whether other code applies the returned matrix as it is, so that its direction is that code's."""
    returned, applied = bench.subject(bench.x).h_res, bench.observe().h_res
    if bench.subject.write is None or returned is None or applied is None:
        return False
    return bool((returned - applied).abs().max() < FITS)


def _check_free(bench: Bench) -> Line:
    name, why = "orientation", "rows of A_r, which stands beside A_m, index the input"
    layout = find_layout(bench)
    if layout != "input beside H_pre":
        raise NotApplicable("free matrices that stand alone have no direction that could be told from outside")
    plain, n = bench.roles.bias["res"], bench.n
    is_input_first = bench.need_bias("res") == [plain[j * n + i] for i in range(n) for j in range(n)]
    show = "print(bench.mixing(res=torch.arange(16.).view(4, 4)).h_res[0, 0])"
    return judge(name, why, "A_r applied transposed", "A_r as it is stored", show, is_right=is_input_first)


def check_exp(bench: Bench, claim: Claim) -> Line:
    """M_0 = exp(t_res)."""
    made = make(bench, claim)
    law, error = made.mild_fit
    got = law.positive if error < COARSE else f"no known map (nearest: {law.positive}, off by {format_number(error)})"
    is_right = law.positive == "exp" and error < COARSE
    return judge("exp", "logits are exponentiated before the rounds", "exp", got, _show(made.mild), is_right=is_right)


def check_rows(bench: Bench, claim: Claim) -> Line:
    """Rows sum to 1."""
    return _check_sums(bench, claim, "rows", 1)


def check_columns(bench: Bench, claim: Claim) -> Line:
    """Columns sum to 1."""
    return _check_sums(bench, claim, "columns", 0)


def _check_sums(bench: Bench, claim: Claim, name: str, dim: int) -> Line:
    if claim.family.residual == "doubly stochastic":
        h_res = bench.observe().h_res
        if h_res is None:
            raise NotApplicable("no H_res was found")
        sums, show = h_res.sum(dim - 2), f"print(bench.observe().h_res.sum({dim - 2}))"
    else:
        made = make(bench, claim)
        sums, show = made.mild_matrix.sum(dim), _show(made.mild)
        if made.mild_fit.law.positive != "exp":
            raise NotApplicable("logits are not exponentiated: see exp")
    worst = sums.flatten()[(sums - 1).abs().argmax()].item()
    return judge(name, f"{name} of H_res sum to 1", "1", format_number(worst), show, is_right=abs(worst - 1) < SUM)


def check_order(bench: Bench, claim: Claim) -> Line:
    """Columns first, rows last."""
    name, why = "order", "each round divides columns, then rows"
    last, layout = get_law(bench, claim).law.last, find_layout(bench)
    if is_left_to_others(bench) and last == "columns":
        raise NotApplicable("it depends on how other code applies the returned matrix: see orientation")
    if last == "rows":
        return holds(name, why)
    if layout == "input beside H_pre":
        return Line(name, "design", "design: rounds end on the axis of inputs, as H_pre stands beside H_res")
    if layout == "input first" or _is_returned_as_applied(bench):
        return holds(name, f"{why}, of the matrix as it is stored")
    got = "rows first, columns last; or a matrix made for its transpose, which is applied as it is"
    return fails(name, why, "columns first, rows last", got, _show(make(bench, claim).slow))


def check_rounds(bench: Bench, claim: Claim) -> Line:
    """As many rounds as said."""
    rounds = get_law(bench, claim).law.rounds
    show, expected = _show(make(bench, claim).slow), f"{claim.rounds} rounds"
    return judge("rounds", "rounds of Sinkhorn", expected, str(rounds), show, is_right=rounds == claim.rounds)


def check_eps(bench: Bench, claim: Claim) -> Line:
    """What is added to sums is small."""
    eps, most = get_law(bench, claim).law.eps, claim.most_eps
    show = _show(make(bench, claim).mild)
    got = f"about {eps:g}"
    return judge("eps", "what is added to sums is small", f"at most {most:g}", got, show, is_right=eps <= most)


def _show(logits: torch.Tensor) -> str:
    code = f"h_res = bench.mixing(res={to_code(logits)}).h_res[0, 0]\n"
    return f"{code}print(h_res, h_res.sum(0), h_res.sum(1))"
