"""The conformance check as a whole."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

import torch
from torch import nn

from mhc_core.attach.conformance.bench import Bench, NotApplicable
from mhc_core.attach.conformance.calling import Subject, Write
from mhc_core.attach.conformance.claim import Claim
from mhc_core.attach.conformance.ends import Expand, Reduce, check_expand, check_reduce
from mhc_core.attach.conformance.finding import find_subjects
from mhc_core.attach.conformance.lines import LINES
from mhc_core.attach.conformance.lines.verdicts import fails, holds
from mhc_core.attach.conformance.report import Line, Report


def check(
    module: nn.Module | Callable[[], nn.Module],
    family: str = "mhc",
    *,
    rounds: int = 20,
    eps: float = 1e-6,
    output: str = "",
    streams: int | None = None,
    width: int | None = None,
    write: Write | None = None,
    expand: Expand | None = None,
    reduce: Reduce | None = None,
    compiled: bool = False,
    seed: int = 0,
) -> Report:
    """Hold an implementation of Hyper-Connections against the laws of its family and against ours.

    A copy of the connection is given random parameters and states; what it does is measured, and its coefficients are
    solved for. The module itself stays as it is.

    Parameters
    ----------
    module: a connection, a model that has some, or a function that builds either (it is called twice, and both must
        not share parameters).
    family: mhc, hc, identity_hc, mhc_lite, kromhc, orthostochastic or gated.
    rounds, eps: what is said of Sinkhorn's rounds.
    output: how streams are reduced, "sum" or "mean"; by default what the family says.
    streams, width: n and C where shapes of parameters do not tell them.
    write: `write(state, y, returned)`, which applies what the module returned, where other code does that.
    expand, reduce: from an embedding (B, T, C) to streams in the module's layout, and from streams to (B, T, C).
    compiled: also compare with torch.compile, which takes a minute.
    seed: of states and parameters.

    Raises
    ------
    SpecError
        Where an option is not one of those above, or nothing in the module can be called as a connection.
    """
    claim = Claim(family, rounds, eps, output)
    with _quiet():
        built = [module] if isinstance(module, nn.Module) else [module(), module()]
        subjects = [subject for one in built for subject in find_subjects(one, streams, width, write)]
        bench = Bench(subjects[0], seed)
        lines = [_run(name, partial(check_line, bench, claim)) for name, check_line in LINES.items()]
        lines += [
            _run("expand", lambda: check_expand(bench, expand)),
            _run("reduce", lambda: check_reduce(bench, claim, reduce)),
            _run("sharing", lambda: _check_sharing(subjects)),
            _run("compile", lambda: _check_compiled(bench, compiled)),
        ]
    return Report(type(subjects[0].module).__name__, family, tuple(lines))


def open_bench(module: nn.Module, seed: int = 0) -> Bench:
    """The first connection of a module on the bench, for reproductions."""
    return Bench(find_subjects(module)[0], seed)


@contextmanager
def _quiet() -> Iterator[None]:
    """Autocast off; the caller's random numbers stay as they were.

    One thread: matrices are so small that on a busy machine several take 15 times as long.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with torch.random.fork_rng(devices=[]), torch.autocast("cpu", enabled=False), torch.enable_grad():
            yield
    finally:
        torch.set_num_threads(threads)


def _run(name: str, check_line: Callable[[], Line]) -> Line:
    try:
        return check_line()
    except NotApplicable as reason:
        return Line(name, "not applicable", str(reason))


def _check_sharing(subjects: list[Subject]) -> Line:
    """No parameter belongs to two connections."""
    if len(subjects) == 1:
        raise NotApplicable("there is one connection: give a model, or a function that builds one")
    owners: dict[int, int] = {}
    shared: set[str] = set()
    for number, subject in enumerate(subjects):
        for name, parameter in subject.module.named_parameters():
            memory = parameter.data_ptr() or id(parameter)  # an empty one, and one on meta, has no address
            if owners.setdefault(memory, number) != number:
                shared.add(name)
    why = f"{len(subjects)} connections have parameters of their own"
    if not shared:
        return holds("sharing", why)
    return fails("sharing", why, "no parameter in two of them", f"shared: {', '.join(sorted(shared))}")


@torch.no_grad()
def _check_compiled(bench: Bench, is_wanted: bool) -> Line:
    """The same results under torch.compile."""
    if not is_wanted:
        raise NotApplicable("not asked for: compiled=True compares with torch.compile")
    bench.reset()
    plain = bench.observe()
    torch._dynamo.reset()
    compiled = bench.observe(subject=bench.subject.on(torch.compile(bench.subject.module)))  # type: ignore[arg-type]
    pairs = [(plain.h_pre, compiled.h_pre), (plain.h_post, compiled.h_post)]
    if plain.h_res is not None and compiled.h_res is not None:
        pairs.append((plain.h_res, compiled.h_res))
    worst = max((one - other).abs().max().item() for one, other in pairs)
    why = "torch.compile gives the same coefficients"
    if worst < 1e-4:
        return holds("compile", why)
    return fails("compile", why, "differences below 1e-4", f"{worst:.3g}")
