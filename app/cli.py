"""The command line: `serve`, `run`, `verify`, `check`, `trace`, `schema`, and what operators have in `commands`."""

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from tqdm import tqdm

from app.commands import COMMANDS
from app.commands.checkdata import check_data
from app.commands.serve import serve
from mhc_core import __version__
from mhc_core.spec import RunSpec, SpecError, SpecErrors, parse_spec


def main(arguments: Sequence[str]) -> int:
    """Run a command; returns the exit code: 0, 1 where a verification or a check fails, or 2 for a user's mistake."""
    parser = argparse.ArgumentParser(prog="mhc-scope", description="mHC Scope")
    parser.add_argument("--version", action="version", version=f"mhc-scope {__version__}")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("serve", add_help=False, help="serve the page and the API; --help lists settings")
    run = commands.add_parser("run", help="compute one spec here, and write its columns")
    run.add_argument("spec", help="a JSON file; - reads standard input")
    run.add_argument("--out", type=Path, help="where to write: .npz, .json or .csv")
    check = commands.add_parser("verify", help="compute one spec here, and hold it against theory and float64")
    check.add_argument("spec", help="a JSON file; - reads standard input")
    _add_check(commands)
    trace = commands.add_parser("trace", help="read the static mixing of a checkpoint, without running it")
    trace.add_argument("checkpoint", type=Path, help="a safetensors file, an index of several, or their folder")
    trace.add_argument("--out", type=Path, help="where to write its record: .mhct")
    commands.add_parser("schema", help="print the JSON schema of a spec")
    for command in COMMANDS:
        command.add_parser(commands)
    known, rest = parser.parse_known_args(arguments)
    if known.command == "serve":
        return serve(rest)
    if rest:
        parser.error(f"unknown arguments: {' '.join(rest)}")
    if "run" in known:
        return int(known.run(known))
    if known.command == "run":
        return run_once(known.spec, known.out)
    if known.command == "verify":
        return verify_once(known.spec)
    if known.command == "check":
        return check_once(known)
    if known.command == "trace":
        return trace_once(known.checkpoint, known.out)
    print(json.dumps(RunSpec.model_json_schema(), indent=2))
    return 0


def _add_check(commands: Any) -> None:
    parser = commands.add_parser("check", help="hold someone's connection against the laws of its family and ours")
    parser.add_argument("target", nargs="?", help="package.module:Class, or a function that builds a module")
    parser.add_argument("--data", type=Path, help="in place of a target: check the database of this folder")
    parser.add_argument("--args", default="{}", help="keyword arguments for it, a JSON object")
    parser.add_argument("--family", default="mhc", help="mhc (default), hc, identity_hc, gated or a relative of mhc")
    parser.add_argument("--rounds", type=int, default=20, help="rounds of Sinkhorn that it is said to have")
    parser.add_argument("--eps", type=float, default=1e-6, help="eps of Sinkhorn that it is said to have")
    parser.add_argument("--dtype", default="float32", help="of parameters and states where it is used, or bfloat16")
    parser.add_argument("--streams", type=int, help="where shapes of parameters do not tell it")
    parser.add_argument("--width", type=int, help="where shapes of parameters do not tell it")
    for name, meaning in (("write", "applies what it returns"), ("expand", "makes streams"), ("reduce", "ends them")):
        parser.add_argument(f"--{name}", help=f"package.module:function that {meaning}, see docs/check.md")
    parser.add_argument("--compile", action="store_true", help="also compare with torch.compile, which takes a minute")
    parser.add_argument("--json", action="store_true", help="print the report as JSON")


def run_once(source: str, out: Path | None) -> int:
    """Compute a spec in this process: a progress bar, then the findings in words."""
    try:
        spec = _read_spec(source)
        write = None if out is None else _choose_writer(out)
        result = _compute(spec)
        if out is not None and write is not None:
            out.write_bytes(write(spec.id, result))
    except (SpecError, SpecErrors, OSError) as error:
        return _explain(error)
    print(*(finding.text for finding in result.summary.findings), sep="\n")
    return 0


def verify_once(source: str) -> int:
    """Compute a spec in this process and print what verification says of it, one line a check."""
    from mhc_core.findings.numerals import format_value
    from mhc_core.measure.recomputation import recompute
    from mhc_core.measure.verification import summarise_checks, to_verdict, verify

    try:
        spec = _read_spec(source)
        result = _compute(spec)
        checks = verify(spec, result, recompute(spec))
    except (SpecError, SpecErrors, OSError) as error:
        return _explain(error)
    row = "{:9}{:19}{:26}{:>6}{:>14}{:>14}{:>12}  {}"
    print(row.format("verdict", "law", "metric", "layer", "expected", "measured", "tolerance", "statement"))
    for check in checks:
        known = (check.expected, check.measured, check.tolerance)
        numbers = ("" if n is None else format_value(n, status=str(n), digits=6) for n in known)
        layer = "" if check.layer is None else check.layer + 1
        metric = f"log10 {check.metric}" if check.scale == "log10" else check.metric
        print(row.format(check.verdict, check.law, metric, layer, *numbers, check.statement))
    print(summarise_checks(checks), "", "What each check can find, and what it cannot:", sep="\n")
    print(*(f"{law}: {detects}" for law, detects in {check.law: check.detects for check in checks}.items()), sep="\n")
    return 1 if to_verdict(checks) == "fails" else 0


def check_once(known: argparse.Namespace) -> int:
    """Print the conformance report of someone's connection, or what is wrong with a database."""
    if (known.target is None) == (known.data is None):
        return _explain(SpecError("check", [known.target, known.data], "either a target or --data"))
    if known.data is not None:
        return check_data(known.data)
    try:
        arguments = json.loads(known.args)
    except json.JSONDecodeError as error:
        return _explain(SpecError("--args", known.args, f"a JSON object: {error}"))
    if not isinstance(arguments, dict):
        return _explain(SpecError("--args", arguments, "a JSON object"))
    from app.targets import load_name, load_target
    from mhc_core.attach import check

    if "" not in sys.path:
        sys.path.insert(0, "")  # as `python` does: modules in this folder
    options = {name: getattr(known, name) for name in ("family", "rounds", "eps", "dtype", "streams", "width")}
    try:
        target = load_target(known.target, arguments)
        functions = {name: getattr(known, name) for name in ("write", "expand", "reduce")}
        options |= {name: load_name(text) for name, text in functions.items() if text is not None}
        report = check(target, **options, compiled=known.compile)
    except SpecError as error:
        return _explain(error)
    print(report.to_json() if known.json else report)
    return 0 if report.passed else 1


def trace_once(checkpoint: Path, out: Path | None) -> int:
    """Read a checkpoint, write its record, and print what it says in words."""
    from mhc_core.attach.checkpoint import read_checkpoint

    try:
        if out is not None:
            _check_out(out, "mhct")
        result = read_checkpoint(checkpoint)
        if out is not None:
            result.save(out)
    except (SpecError, OSError) as error:
        return _explain(error)
    print(*(finding.text for finding in result.summary.findings), sep="\n")
    return 0


def _read_spec(source: str) -> RunSpec:
    return parse_spec(sys.stdin.buffer.read() if source == "-" else Path(source).read_bytes())


def _explain(error: SpecError | SpecErrors | OSError) -> int:
    """Print a user's mistake; returns the exit code."""
    if isinstance(error, OSError):
        print(f"{error.filename}: {error.strerror}", file=sys.stderr)
    else:
        print(*getattr(error, "errors", [error]), sep="\n", file=sys.stderr)
    return 2


def _choose_writer(out: Path) -> Callable[[str, Any], bytes]:
    """What writes a file of that name; a name that cannot be written is refused before anything is computed."""
    from app.services.results import WRITERS

    return WRITERS[_check_out(out, *WRITERS)]


def _check_out(out: Path, *endings: str) -> str:
    """The ending of a name that can be written; else an error, before anything is computed."""
    ending = out.suffix.removeprefix(".")
    if ending not in endings:
        raise SpecError("--out", out.name, f"a name that ends in .{', .'.join(endings)}")
    if not out.parent.is_dir():
        raise SpecError("--out", str(out.parent), "a folder that exists")
    return ending


def _compute(spec: RunSpec) -> Any:
    import torch

    from mhc_core.cost.estimates import estimate
    from mhc_core.cost.rates import calibrate
    from mhc_core.cost.threads import choose_threads
    from mhc_core.findings.numerals import format_value
    from mhc_core.measure.run import run
    from mhc_core.record.result import Result

    torch.set_num_threads(choose_threads(spec, torch.get_num_threads()))
    cost = estimate(spec, calibrate())
    seconds, peak = format_value(cost.seconds, digits=2), format_value(cost.peak_bytes / 1e9, digits=2)
    print(f"about {seconds} s and {peak} GB on a CPU", file=sys.stderr)
    result = Result()
    steps = spec.train.steps
    with tqdm(total=steps or 2 * spec.depth, unit="step" if steps else "layer", desc=f"run {spec.id}") as bar:
        for frame in run(spec):
            result.add(frame)
            if steps:
                bar.update(frame.type == "step")
            elif frame.type in ("forward", "backward"):
                bar.update(frame.layer >= 0)
    return result
