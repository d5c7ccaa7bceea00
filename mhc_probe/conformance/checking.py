"""Run all conformance checks of a module, and collect them in a report."""

import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial

import torch
from torch import nn

from mhc_core.spec import SpecError
from mhc_probe.conformance import depth
from mhc_probe.conformance.bench import Bench, NotApplicable, NotMeasured
from mhc_probe.conformance.calling import Subject, Write
from mhc_probe.conformance.checks import CHECKS
from mhc_probe.conformance.detection import DETECTS
from mhc_probe.conformance.discovery import find_subjects
from mhc_probe.conformance.ends import Expand, Reduce, check_expand, check_reduce
from mhc_probe.conformance.module_check import ModuleCheck, fails, holds
from mhc_probe.conformance.options import FamilyOptions
from mhc_probe.conformance.report import Report


def check(
    module: nn.Module | Callable[[], nn.Module],
    family: str = "mhc",
    *,
    rounds: int = 20,
    eps: float = 1e-6,
    output: str = "",
    dtype: str = "float32",
    streams: int | None = None,
    width: int | None = None,
    write: Write | None = None,
    expand: Expand | None = None,
    reduce: Reduce | None = None,
    compiled: bool = False,
    seed: int = 0,
) -> Report:
    """Compare an implementation of Hyper-Connections with the laws of its family and with our implementation.

    A copy of the connection gets random parameters and states, and its coefficients are solved for from its inputs and
    outputs. The module itself does not change. A check that cannot be measured because of the module fails, unless
    another check fails and names the cause.

    Parameters
    ----------
    module: a connection, a model that contains connections, or a function that builds either (it is called twice, and
        the two results must not share parameters).
    family: mhc, hc, identity_hc, mhc_lite, kromhc, orthostochastic, go_mhc, tbp, circulant or gated; attnres for a
        module that reads earlier outputs by attention over depth, for which `seed` is the only other option.
    rounds, eps: expected number of Sinkhorn rounds, by default 20, and their expected eps, by default 1e-6.
    output: expected reduction of the streams, "sum" or "mean"; by default that of the family.
    dtype: type of parameters and states in use. The check computes in float32, and with "bfloat16" a
        mapping that follows the type of the state fails.
    streams, width: n and C, if the shapes of parameters do not determine them.
    write: `write(state, y, returned)`, which applies the returned coefficients if the module does not.
    expand, reduce: functions from an embedding (B, T, C) to streams in the module's layout, and from streams to
        (B, T, C).
    compiled: whether to compare with torch.compile too, which takes a minute.
    seed: seed of states and parameters, by default 0.

    Raises
    ------
    SpecError
        If an option is not one of those above, or nothing in the module can be called as a connection.
    """
    if family == depth.FAMILY:
        given = {"rounds": rounds, "eps": eps, "output": output, "dtype": dtype, "streams": streams, "width": width}
        _refuse_options(given | {"write": write, "expand": expand, "reduce": reduce, "compiled": compiled})
        with _quiet():
            return depth.check_depth(module, seed)
    options = FamilyOptions(family, rounds, eps, output, dtype)
    with _quiet():
        built = [module] if isinstance(module, nn.Module) else [module(), module()]
        subjects = [subject for one in built for subject in find_subjects(one, streams, width, write)]
        bench = Bench(subjects[0], seed)
        opening = _format_opening(seed=seed, streams=streams, width=width, write=write)
        checks = [_run_check(name, partial(check_module, bench, options)) for name, check_module in CHECKS.items()]
        checks += [
            _run_check("expand", lambda: check_expand(bench, expand)),
            _run_check("reduce", lambda: check_reduce(bench, options, reduce)),
            _run_check("sharing", lambda: _check_sharing(subjects)),
            _run_check("compile", lambda: _check_compiled(bench, compiled)),
        ]
    complete = [
        replace(one, detects=DETECTS[one.name], reproduce=one.reproduce.replace("open_bench(module)", opening))
        for one in _fail_unmeasured(checks)
    ]
    return Report(type(subjects[0].module).__name__, family, tuple(complete))


def _refuse_options(given: dict[str, object]) -> None:
    """Raise SpecError if an option that applies only to connections is given for a read over depth."""
    defaults = inspect.signature(check).parameters
    for name, value in given.items():
        if value != defaults[name].default:
            raise SpecError(name, value, f"nothing: {depth.FAMILY} has no such option")


def open_bench(
    module: nn.Module,
    seed: int = 0,
    *,
    streams: int | None = None,
    width: int | None = None,
    write: Write | None = None,
) -> Bench:
    """Return a bench with the first connection of a module, for reproductions. The arguments are those of `check`."""
    return Bench(find_subjects(module, streams, width, write)[0], seed)


def _format_opening(*, seed: int, streams: int | None, width: int | None, write: Write | None) -> str:
    """Return the call of `open_bench` that repeats a check."""
    given = {"seed": seed, "streams": streams, "width": width} | ({} if write is None else {"write": "write"})
    return f"open_bench({', '.join(['module', *(f'{name}={value}' for name, value in given.items() if value)])})"


def _fail_unmeasured(checks: list[ModuleCheck]) -> Iterator[ModuleCheck]:
    """Yield all checks. If none fails, the first that could not be measured fails, as nothing else explains it."""
    is_explained = any(one.verdict == "fails" for one in checks)
    for one in checks:
        if one.verdict == "skipped" and not is_explained:
            is_explained = True
            yield fails(one.name, "the check can be made", "a measurement", one.statement, "print(bench.roles)")
        else:
            yield one


@contextmanager
def _quiet() -> Iterator[None]:
    """Disable autocast, and restore the caller's random state when the context ends.

    Use one thread: the matrices are so small that on a busy machine several threads take 15 times as long.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with torch.random.fork_rng(devices=[]), torch.autocast("cpu", enabled=False), torch.enable_grad():
            yield
    finally:
        torch.set_num_threads(threads)


def _run_check(name: str, check_module: Callable[[], ModuleCheck]) -> ModuleCheck:
    """Run one check. If it does not apply or cannot be measured, return that verdict with the reason."""
    try:
        return check_module()
    except NotApplicable as reason:
        return ModuleCheck(name, "not applicable", str(reason))
    except NotMeasured as reason:
        return ModuleCheck(name, "skipped", str(reason))


def _check_sharing(subjects: list[Subject]) -> ModuleCheck:
    """Check that no parameter belongs to two connections."""
    if len(subjects) == 1:
        raise NotApplicable("there is one connection: give a model, or a function that builds one")
    owners: dict[int, int] = {}
    shared: set[str] = set()
    for number, subject in enumerate(subjects):
        for name, parameter in subject.module.named_parameters():
            memory = parameter.data_ptr() or id(parameter)  # an empty parameter, or one on meta, has no address
            if owners.setdefault(memory, number) != number:
                shared.add(name)
    statement = f"{len(subjects)} connections have parameters of their own"
    if not shared:
        return holds("sharing", statement)
    show = "print({name: parameter.data_ptr() for name, parameter in module.named_parameters(remove_duplicate=False)})"
    likely = "a parameter that is created once, with the class or as a default argument"
    return fails(
        "sharing", statement, "no parameter in two of them", f"shared: {', '.join(sorted(shared))}", show, likely
    )


@torch.no_grad()
def _check_compiled(bench: Bench, is_wanted: bool) -> ModuleCheck:
    """Check that the module gives the same coefficients under torch.compile."""
    if not is_wanted:
        raise NotApplicable("not requested: compiled=True compares with torch.compile")
    bench.reset()
    plain = bench.observe()
    torch._dynamo.reset()
    compiled = bench.observe(subject=bench.subject.on(torch.compile(bench.subject.module)))  # type: ignore[arg-type]
    pairs = [(plain.h_pre, compiled.h_pre), (plain.h_post, compiled.h_post)]
    if plain.h_res is not None and compiled.h_res is not None:
        pairs.append((plain.h_res, compiled.h_res))
    worst = max((one - other).abs().max().item() for one, other in pairs)
    statement = "torch.compile gives the same coefficients"
    if worst < 1e-4:
        return holds("compile", statement)
    show = "print(bench.observe(subject=bench.subject.on(torch.compile(bench.subject.module))).h_res[0, 0])"
    return fails(
        "compile",
        statement,
        "differences below 1e-4",
        f"{worst:.3g}",
        show,
        "a value that the compiler keeps as a constant",
    )
