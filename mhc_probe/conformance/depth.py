"""Check a module that reads earlier outputs by attention over depth, against the laws of such reads and our own code.

The module takes K sources and returns their weighted sum for each of its queries. The weights are solved for by least
squares: with more than K features, only one weight per source can explain the result, or the result is no such sum.

Shapes: K sources, B x T = N tokens, C width, H heads, Q queries.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import replace
from itertools import product
from typing import Any, NamedTuple

import torch
from torch import nn

from mhc_core.layers.depth import KEY_EPS, read_sources
from mhc_core.spec import SpecError
from mhc_probe.conformance.bench import NotApplicable, NotMeasured
from mhc_probe.conformance.discovery import REFUSALS
from mhc_probe.conformance.module_check import ModuleCheck, design, fails, format_number, holds, judge
from mhc_probe.conformance.report import Report
from mhc_probe.recording.depth import has_queries_alone
from mhc_probe.recording.values import list_tensors

FAMILY = "attnres"
BATCH, TOKENS, SOURCES = 2, 3, 5
HEADS = (1, 2, 4, 8, 16)
SAME = 1e-3  # weights that differ by less are equal; so are reads, relative to their size
LOGIT = 3.0  # standard deviation of logits with random queries; smaller if logits are divided by the root of the width

Sources = Sequence[torch.Tensor]
Call = Callable[[nn.Module, Sources], Any]

# Ways to pass the sources to a module: in a list, stacked on an axis, or the last source separately from the others.
CALLS: dict[str, Call] = {
    "a list": lambda module, sources: module(list(sources)),
    "a stack (B, T, K, C)": lambda module, sources: module(torch.stack(list(sources), -2)),
    "a stack (K, B, T, C)": lambda module, sources: module(torch.stack(list(sources))),
    "a list and the last": lambda module, sources: module(list(sources[:-1]), sources[-1]),
    "a stack (B, T, K, C) and the last": lambda module, sources: module(
        torch.stack(list(sources[:-1]), -2), sources[-1]
    ),
    "a stack (K, B, T, C) and the last": lambda module, sources: module(torch.stack(list(sources[:-1])), sources[-1]),
}

DETECTS = {
    "read": "Finds a read that is not a weighted sum of the sources: a softmax over another axis, or a separate "
    "value for each channel. Slices of the width with separate weights are heads.",
    "weights": "Finds weights, of the sources or of the normed sources, that are negative or do not sum to 1 over "
    "the sources: a sigmoid, a softmax over something else. It cannot find a wrong softmax over the right axis.",
    "uniform": "Finds weights that are not equal if a query is 0: a bias by age, a source that is left out.",
    "key norm": "Finds weights that change with the size of a source, because the keys are not normed.",
    "token axis": "Finds weights that depend on other tokens or sequences.",
    "other sources": "Finds a ratio of two sources' weights that depends on a later source, which no softmax over "
    "depth does: a norm over all sources, a padded or shifted list.",
    "source order": "Finds weights that depend on the position of a source in the list: a design, positions over "
    "depth.",
    "training mode": "Finds dropout or noise on weights.",
    "reference": "Finds any other difference from our read with the same query, such as a temperature, a norm "
    "that subtracts the mean, or an eps above about 1e-3. It accepts plain and normed values, logits with or "
    "without a division by the root of the width, and a gain of the keys.",
    "gradients": "Finds gradients of sources, queries and gains that differ from ours: a detached key or value. "
    "It is measured if the reference holds.",
}


class Observed(NamedTuple):
    """Solved weights of the sources, (Q, N, K, H), and the largest relative residual of a read that they leave."""

    weights: torch.Tensor
    misfit: float


class DepthBench:
    """A copy of one module that reads over depth, with random queries and sources. The original does not change."""

    def __init__(self, module: nn.Module, call: Call, seed: int) -> None:
        self.module, self.call, self.seed = deepcopy(module).float().eval(), call, seed
        self.width = next(self.module.parameters()).shape[-1]
        self._randomise()
        sizes = torch.linspace(0.5, 2.0, SOURCES)
        self.sources = [size * self.draw(BATCH, TOKENS, self.width, salt=k) for k, size in enumerate(sizes)]
        self.heads = next((heads for heads in HEADS if self._fits_heads(heads)), 1)
        observed = self.observe()
        self.is_normed = _find_sum_error(_to_attention(observed.weights, self.sources, is_normed=True)) < SAME

    def draw(self, *shape: int, salt: int) -> torch.Tensor:
        """Return standard normal values that depend on shape, seed and salt alone."""
        return torch.randn(shape, generator=torch.Generator().manual_seed(1000 * self.seed + salt))

    @torch.no_grad()
    def _randomise(self) -> None:
        """Draw queries. Parameters that start at 1 are gains of a norm, and stay near 1."""
        for salt, parameter in enumerate(self.module.parameters(), start=100):
            drawn = self.draw(*parameter.shape, salt=salt)
            is_gain = bool((parameter == 1).all())
            parameter.copy_(1 + 0.2 * drawn if is_gain else LOGIT * drawn / self.width**0.5)

    def read(self, sources: Sources | None = None, module: nn.Module | None = None) -> list[torch.Tensor]:
        """Return what the module reads from the sources, (B, T, C) for each query."""
        chosen = self.sources if sources is None else sources
        return _list_reads(self.call(module or self.module, [x.clone() for x in chosen]))

    @torch.no_grad()
    def observe(self, sources: Sources | None = None, module: nn.Module | None = None) -> Observed:
        """Return the weights that the module gives to the sources, by least squares."""
        chosen = self.sources if sources is None else sources
        return _solve_weights(self.read(chosen, module), chosen, self.heads)

    def attend(self, sources: Sources | None = None, module: nn.Module | None = None) -> torch.Tensor:
        """Return the module's attention over depth, (Q, N, K, H): weights of the sources, or of the normed sources."""
        chosen = self.sources if sources is None else sources
        return _to_attention(self.observe(chosen, module).weights, chosen, is_normed=self.is_normed)

    @torch.no_grad()
    def _fits_heads(self, heads: int) -> bool:
        """Return whether this number of heads is possible, and one weight per source and head explains what is read."""
        if self.width % heads or self.width // heads <= SOURCES:
            return False
        return _solve_weights(self.read(), self.sources, heads).misfit < SAME


def check_depth(module: nn.Module | Callable[[], nn.Module], seed: int = 0) -> Report:
    """Check a module that reads a weighted sum of earlier outputs, or the first one in a model.

    See `mhc_probe.conformance.check`.

    Raises
    ------
    SpecError
        If no part of the module can be called with a list of earlier outputs.
    """
    bench = open_depth_bench(module if isinstance(module, nn.Module) else module(), seed)
    checks = [_run_check(name, check_read, bench) for name, check_read in CHECKS.items()]
    opening = f"from mhc_probe.conformance.depth import open_depth_bench\nbench = open_depth_bench(module, {seed})\n"
    complete = [
        replace(one, detects=DETECTS[one.name], reproduce=opening + SHOWS[one.name] if one.verdict == "fails" else "")
        for one in checks
    ]
    return Report(type(bench.module).__name__, FAMILY, tuple(complete))


def open_depth_bench(module: nn.Module, seed: int = 0) -> DepthBench:
    """Return a bench, for reproductions, with the first module of a model that reads earlier outputs."""
    for inner in module.modules():
        if has_queries_alone(inner, set()):
            for call in CALLS.values():
                if _can_be_called(inner, call):
                    return DepthBench(inner, call, seed)
    wanted = (
        "a module with queries alone that takes sources in a list, or stacked as (B, T, K, C) or (K, B, T, C), the last"
        f" one apart or not, and returns what is read, (B, T, C); more than {SOURCES} features"
    )
    raise SpecError("module", type(module).__name__, wanted)


@torch.no_grad()
def _can_be_called(module: nn.Module, call: Call) -> bool:
    """Return whether a module accepts two different numbers of sources, and returns tensors of their shape."""
    copied = deepcopy(module).float().eval()
    width = next(copied.parameters()).shape[-1]
    if width <= SOURCES:
        return False
    generator = torch.Generator().manual_seed(0)
    for count in (SOURCES, SOURCES - 1):
        sources = [torch.randn(BATCH, TOKENS, width, generator=generator) for _ in range(count)]
        try:
            reads = _list_reads(call(copied, sources))
        except REFUSALS:
            return False
        if not reads or any(read.shape != sources[0].shape for read in reads):
            return False
    return True


def _run_check(name: str, check_read: Callable[[DepthBench], ModuleCheck], bench: DepthBench) -> ModuleCheck:
    """Run one check. If it does not apply or cannot be measured, return that verdict with the reason."""
    try:
        return check_read(bench)
    except NotApplicable as reason:
        return ModuleCheck(name, "not applicable", str(reason))
    except NotMeasured as reason:
        return ModuleCheck(name, "skipped", str(reason))


def _list_reads(output: Any) -> list[torch.Tensor]:
    return [x for x in list_tensors(output) if x.is_floating_point()]


def _solve_weights(reads: Sources, sources: Sources, heads: int) -> Observed:
    """Solve for the weights of the sources in each read, by least squares for each token and slice of the width."""
    split = [x.detach().double().flatten(0, 1).unflatten(-1, (heads, -1)) for x in sources]
    columns_NHcK = torch.stack(split, -1)
    weights, misfit = [], 0.0
    for read in reads:
        wanted_NHc1 = read.detach().double().flatten(0, 1).unflatten(-1, (heads, -1)).unsqueeze(-1)
        solved_NHK1 = torch.linalg.lstsq(columns_NHcK, wanted_NHc1).solution
        weights.append(solved_NHK1.squeeze(-1).transpose(1, 2))
        rest = (columns_NHcK @ solved_NHK1 - wanted_NHc1).norm() / wanted_NHc1.norm()
        misfit = max(misfit, float(rest))
    return Observed(torch.stack(weights), misfit)


def _to_attention(weights_QNKH: torch.Tensor, sources: Sources, *, is_normed: bool) -> torch.Tensor:
    """Return the attention that causes these weights: if values are normed, the weights times the sources' sizes."""
    if not is_normed:
        return weights_QNKH
    rms_NK = torch.stack([x.double().flatten(0, 1).square().mean(-1).add(KEY_EPS).sqrt() for x in sources], -1)
    return weights_QNKH * rms_NK.unsqueeze(-1)


def _find_sum_error(attention_QNKH: torch.Tensor) -> float:
    return float((attention_QNKH.sum(2) - 1).abs().max())


def _measure_change(one: torch.Tensor, other: torch.Tensor) -> float:
    return float((one - other).detach().abs().max())


def _require_sum(bench: DepthBench) -> None:
    """Raise NotMeasured unless what is read is a weighted sum of the sources."""
    if not bench.observe().misfit < SAME:
        raise NotMeasured("what is read is no weighted sum of the sources")


# ---- checks


def check_read(bench: DepthBench) -> ModuleCheck:
    """Check that what is read is a weighted sum of the sources."""
    misfit = bench.observe().misfit
    heads = "" if bench.heads == 1 else f" in each of {bench.heads} slices of the width"
    return judge(
        "read",
        f"what is read is a sum of the sources with one weight for each{heads}",
        f"a rest below {SAME:g} of it",
        format_number(misfit),
        "",
        "a softmax over another axis, or a gate for each channel",
        is_right=misfit < SAME,
    )


def check_weights(bench: DepthBench) -> ModuleCheck:
    """Check that weights are not negative and sum to 1."""
    _require_sum(bench)
    attention = bench.attend()
    error, least = _find_sum_error(attention), float(attention.min())
    whose = "the normed sources" if bench.is_normed else "the sources"
    return judge(
        "weights",
        f"the weights of {whose} are not negative and sum to 1",
        f"sums within {SAME:g} of 1",
        f"{format_number(error)} off, least weight {format_number(least)}",
        "",
        "a sigmoid in place of the softmax, or a softmax over another axis",
        is_right=error < SAME and least > -SAME,
    )


def check_uniform(bench: DepthBench) -> ModuleCheck:
    """Check that the weights of the sources are equal if a query is 0."""
    _require_sum(bench)
    errors = []
    for name, _ in bench.module.named_parameters():
        changed = deepcopy(bench.module)
        nn.init.zeros_(changed.get_parameter(name))
        attention = bench.attend(module=changed)
        errors.append(_measure_change(attention, torch.full_like(attention, 1 / SOURCES)))
    least = min(errors)
    return judge(
        "uniform",
        "with a query of 0 all sources have the same weight, so that the mean of them is read",
        f"weights within {SAME:g} of 1 / {SOURCES}",
        f"{format_number(least)} off",
        "",
        "a bias of the logits, or a source that is left out",
        is_right=least < SAME,
    )


def check_key_norm(bench: DepthBench) -> ModuleCheck:
    """Check that the size of a source does not change its weight."""
    _require_sum(bench)
    scaled = [10 * bench.sources[0], *bench.sources[1:]]
    change = _measure_change(bench.attend(), bench.attend(scaled))
    return judge(
        "key norm",
        "a source ten times as large has the same weight",
        f"changes below {SAME:g}",
        format_number(change),
        "",
        "keys without a norm",
        is_right=change < SAME,
    )


def check_tokens(bench: DepthBench) -> ModuleCheck:
    """Check that weights depend on their own token alone."""
    _require_sum(bench)
    moved = [x.clone() for x in bench.sources]
    for k, x in enumerate(moved):
        x[0, 1:] = 2 + 5 * bench.draw(TOKENS - 1, bench.width, salt=50 + k)
        x[1:] = 2 + 5 * bench.draw(BATCH - 1, TOKENS, bench.width, salt=70 + k)
    change = _measure_change(bench.attend()[:, :1], bench.attend(moved)[:, :1])
    return judge(
        "token axis",
        "the weights of a token do not depend on other tokens or sequences",
        f"changes below {SAME:g}",
        format_number(change),
        "",
        "a softmax, norm or mean over another axis than depth or width",
        is_right=change < SAME,
    )


def check_others(bench: DepthBench) -> ModuleCheck:
    """Check that the ratio of two weights does not depend on later sources."""
    _require_sum(bench)
    fewer = bench.sources[:-1]
    shares = []
    for attention in (bench.attend()[:, :, :-1], bench.attend(fewer)):
        shares.append(attention / attention.sum(2, keepdim=True))
    change = _measure_change(*shares)
    return judge(
        "other sources",
        "a later source takes weight from all earlier ones in the same ratio",
        f"changes of the shares below {SAME:g}",
        format_number(change),
        "",
        "a norm over all sources, or sources that are shifted or padded",
        is_right=change < SAME,
    )


def check_order(bench: DepthBench) -> ModuleCheck:
    """Check that weights over depth belong to sources and not to their places."""
    _require_sum(bench)
    change = _measure_change(bench.attend().flip(2), bench.attend(bench.sources[::-1]))
    if change < SAME:
        return holds("source order", "weights belong to sources, whatever their order", format_number(change))
    return design("source order", "weights depend on the place of a source", format_number(change))


def check_mode(bench: DepthBench) -> ModuleCheck:
    """Check that attention over depth reads the same in training and evaluation mode."""
    training = deepcopy(bench.module).train()
    pairs = zip(bench.read(), bench.read(module=training), strict=True)
    change = max(_measure_change(one, other) for one, other in pairs)
    return judge(
        "training mode",
        "the same is read in training mode",
        f"changes below {SAME:g}",
        format_number(change),
        "",
        "dropout of the weights, as torch's attention functions apply it",
        is_right=change < SAME,
    )


class _Form(NamedTuple):
    """Settings under which our attention over depth may equal a module's.

    `query`, `gain`: names of the parameters. `is_normed`: values are normed. `is_scaled`: logits are divided by the
    root of the width of a head.
    """

    query: str
    gain: str | None
    is_normed: bool
    is_scaled: bool


def _list_forms(bench: DepthBench) -> Iterator[_Form]:
    """Yield the forms of attention over depth that the module's parameters allow: query, gain, norm and scale."""
    named = dict(bench.module.named_parameters())
    for query, parameter in named.items():
        if parameter.numel() != len(bench.read()) * bench.width:
            continue
        gains = [None, *(name for name, other in named.items() if name != query and other.numel() == bench.width)]
        for gain, is_normed, is_scaled in product(gains, (False, True), (False, True)):
            yield _Form(query, gain, is_normed, is_scaled)


def _read_ours(
    bench: DepthBench, form: _Form, sources: Sources, named: Mapping[str, torch.Tensor]
) -> list[torch.Tensor]:
    """Return what our attention over depth reads from the sources with the module's queries, (B, T, C) each."""
    queries = named[form.query].reshape(-1, bench.width)
    if form.gain is not None:
        queries = queries * named[form.gain].reshape(-1)
    head = bench.width // bench.heads
    # `read_sources` divides logits by the root of a head's width if values are normed, and only then.
    factor = (head**-0.5 if form.is_scaled else 1.0) / (head**-0.5 if form.is_normed else 1.0)
    rows = torch.stack([x.flatten(0, 1) for x in sources])
    state = torch.cat([rows[:-1], torch.zeros_like(rows[:1])])
    return [
        read_sources(
            state, rows[-1], factor * query, len(sources), bench.heads, appends=True, is_normed=form.is_normed
        )[0][-1].view_as(sources[0])
        for query in queries
    ]


@torch.no_grad()
def _find_form(bench: DepthBench) -> tuple[_Form | None, float]:
    """Return the form with the smallest difference from the module, and that difference relative to what is read."""
    theirs, named = bench.read(), dict(bench.module.named_parameters())
    best: tuple[_Form | None, float] = (None, float("inf"))
    for form in _list_forms(bench):
        ours = _read_ours(bench, form, bench.sources, named)
        error = max(float((a - b).norm() / b.norm()) for a, b in zip(ours, theirs, strict=True))
        best = min(best, (form, error), key=lambda item: item[1])
    return best


def check_reference(bench: DepthBench) -> ModuleCheck:
    """Check that the module reads what our attention over depth reads with the same query."""
    form, error = _find_form(bench)
    if form is None:
        raise NotMeasured("no parameter has the shape of the queries")
    name = (
        f"{'normed' if form.is_normed else 'plain'} values, logits {'over' if form.is_scaled else 'not over'} the root"
    )
    return judge(
        "reference",
        f"the same is read as by ours with this query: {name} of the width",
        f"a difference below {SAME:g}",
        format_number(error),
        "",
        "a temperature, another norm of the keys, or an eps that is large",
        is_right=error < SAME,
    )


def check_gradients(bench: DepthBench) -> ModuleCheck:
    """Check that gradients of sources and parameters equal those of our attention over depth."""
    form, error = _find_form(bench)
    if form is None or error >= SAME:
        raise NotMeasured("what is read is not what ours reads")
    worst, whose = 0.0, ""
    for name, one, other in _differentiate(bench, form):
        difference = float((one - other).norm() / other.norm().clamp_min(1e-12))
        worst, whose = max((worst, whose), (difference, name))
    statement = "gradients of sources, queries and gains are those of ours"
    if worst < SAME:
        return holds("gradients", statement, format_number(worst))
    likely = "keys or values that are detached"
    measured = f"{format_number(worst)} of {whose}"
    return fails("gradients", statement, f"differences below {SAME:g}", measured, "", likely)


def _differentiate(bench: DepthBench, form: _Form) -> Iterator[tuple[str, torch.Tensor, torch.Tensor]]:
    """Yield names of sources and parameters, with the gradients of the module and of our attention."""
    weights = [bench.draw(BATCH, TOKENS, bench.width, salt=200 + k) for k in range(len(bench.read()))]
    names = [name for name in (form.query, form.gain) if name is not None]
    found = []
    for is_ours in (False, True):
        sources = [x.clone().requires_grad_() for x in bench.sources]
        copied = deepcopy(bench.module)
        named = dict(copied.named_parameters())
        reads = _read_ours(bench, form, sources, named) if is_ours else _list_reads(bench.call(copied, sources))
        loss = sum((weight * read).sum() for weight, read in zip(weights, reads, strict=True))
        assert isinstance(loss, torch.Tensor), "something is read"
        wanted = [*sources, *(named[name] for name in names)]
        grads = torch.autograd.grad(loss, wanted, allow_unused=True) if loss.requires_grad else [None] * len(wanted)
        found.append([torch.zeros_like(x) if grad is None else grad for x, grad in zip(wanted, grads, strict=True)])
    yield from zip([*(f"source {k + 1}" for k in range(SOURCES)), *names], *found, strict=True)


CHECKS: dict[str, Callable[[DepthBench], ModuleCheck]] = {
    "read": check_read,
    "weights": check_weights,
    "uniform": check_uniform,
    "key norm": check_key_norm,
    "token axis": check_tokens,
    "other sources": check_others,
    "source order": check_order,
    "training mode": check_mode,
    "reference": check_reference,
    "gradients": check_gradients,
}

# By the check's name, Python that shows a failure.
SHOWS = {
    "read": "print(bench.observe().misfit)",
    "weights": "print(bench.attend().sum(2))",
    "uniform": "for parameter in bench.module.parameters():\n    parameter.data.zero_()\nprint(bench.attend())",
    "key norm": "print(bench.attend() - bench.attend([10 * bench.sources[0], *bench.sources[1:]]))",
    "token axis": "print(bench.attend([x.roll(1, 0) for x in bench.sources]) - bench.attend())",
    "other sources": "print(bench.attend(), bench.attend(bench.sources[:-1]))",
    "training mode": "print(bench.read()[0] - bench.read(module=bench.module.train())[0])",
    "reference": "print(bench.attend()[0, 0, :, 0], bench.is_normed)",
    "gradients": "sources = [x.clone().requires_grad_() for x in bench.sources]\n"
    "bench.call(bench.module, sources).sum().backward()\nprint([x.grad for x in sources])",
}
