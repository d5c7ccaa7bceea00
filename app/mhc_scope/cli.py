"""Parse the command line: `serve`, `run`, `verify`, `schema`, the operators' `commands`, and those of add-ons."""

import argparse
import json
import sys
from collections.abc import Callable, Iterable, Sequence
from importlib.metadata import entry_points
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any

from tqdm import tqdm

from mhc_core import __version__
from mhc_core.spec import RunSpec, SpecError, SpecErrors, parse_spec
from mhc_scope.commands import COMMANDS
from mhc_scope.commands.serve import serve

GROUP = "mhc_scope.commands"


def main(arguments: Sequence[str]) -> int:
    """Run a command; return the exit code: 0, 1 if a verification or a check fails, or 2 for a user's mistake."""
    parser = argparse.ArgumentParser(
        prog="mhc-scope", description="Compute and show how signals travel through deep residual stacks."
    )
    parser.add_argument("--version", action="version", version=f"mhc-scope {__version__}")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("serve", add_help=False, help="serve the page and the API; serve --help lists settings")
    run = commands.add_parser("run", help="compute a spec without a server, and write its result")
    run.set_defaults(run=lambda known: run_once(known.spec, known.out))
    run.add_argument("spec", help="a JSON file; - reads standard input")
    run.add_argument("--out", type=Path, help="file for the result: .npz, .json or .csv")
    check = commands.add_parser(
        "verify", help="compute a spec without a server, and check it against theory and float64"
    )
    check.set_defaults(run=lambda known: verify_once(known.spec))
    check.add_argument("spec", help="a JSON file; - reads standard input")
    commands.add_parser("schema", help="print the JSON schema of a spec").set_defaults(run=print_schema)
    for command in (*COMMANDS, *_load_commands()):
        command.add_parser(commands)
    known, rest = parser.parse_known_args(arguments)
    if known.command == "serve":
        return serve(rest)
    if rest:
        parser.error(f"unknown arguments: {' '.join(rest)}")
    return int(known.run(known))


def _load_commands() -> Iterable[ModuleType]:
    """Yield the modules of commands that other packages add by entry points.

    The probe belongs to this distribution, but its folder may be missing.
    """
    for point in entry_points(group=GROUP):
        if find_spec(point.module.partition(".")[0]) is not None:
            yield from point.load()


def run_once(source: str, out: Path | None) -> int:
    """Compute a spec in this process with a progress bar, print its findings, and write its result to `out`, if any."""
    try:
        spec = _read_spec(source)
        write = None if out is None else _choose_writer(out)
        result = _compute_run(spec)
        if out is not None and write is not None:
            out.write_bytes(write(spec.id, result))
    except (SpecError, SpecErrors, OSError) as error:
        return _print_error(error)
    print(*(finding.text for finding in result.summary.findings), sep="\n")
    return 0


def verify_once(source: str) -> int:
    """Compute and verify a spec in this process, and print one line per check."""
    from mhc_core.checks.check import format_checks, format_detection, summarise_checks, to_verdict
    from mhc_core.checks.recomputation import recompute
    from mhc_core.checks.verification import verify

    try:
        spec = _read_spec(source)
        result = _compute_run(spec)
        checks = verify(spec, result, recompute(spec))
    except (SpecError, SpecErrors, OSError) as error:
        return _print_error(error)
    print(format_checks(checks), summarise_checks(checks), "", format_detection(checks), sep="\n")
    return 1 if to_verdict(checks) == "fails" else 0


def print_schema(known: argparse.Namespace) -> int:
    """Print the JSON schema of a spec."""
    print(json.dumps(RunSpec.model_json_schema(), indent=2))
    return 0


def _read_spec(source: str) -> RunSpec:
    """Read the spec of a command: a file, or standard input if `source` is "-".

    Raises
    ------
    SpecErrors
        If it is not valid. Mistakes of the whole text, such as invalid JSON, name the file.
    SpecError
        If the file cannot be read.
    """
    try:
        content = sys.stdin.buffer.read() if source == "-" else Path(source).read_bytes()
    except OSError as error:
        wanted = "a JSON file, or - for standard input"
        raise SpecError(source, error.strerror, wanted, f"{source}: {error.strerror}, wanted {wanted}") from None
    try:
        return parse_spec(content)
    except SpecErrors as found:
        name, text = "standard input" if source == "-" else source, content.decode(errors="replace").strip()
        raise SpecErrors(
            [
                SpecError(name, text, error.wanted, error.text) if error.field == "body" else error
                for error in found.errors
            ]
        ) from None


def _print_error(error: SpecError | SpecErrors | OSError) -> int:
    """Print an error of the arguments or of a file, with field, received and allowed value; return exit code 2."""
    match error:
        case OSError():
            lines = [f"{error.filename}: {error.strerror}"]
        case SpecErrors():
            lines = [item.describe() for item in error.errors]
        case SpecError():
            lines = [str(error)]
    print(*lines, sep="\n", file=sys.stderr)
    return 2


def _choose_writer(out: Path) -> Callable[[str, Any], bytes]:
    """Return the function that encodes a result for a file. Refuse one that cannot be written, before computing."""
    from mhc_scope.services.results import WRITERS

    ending = out.suffix.removeprefix(".")
    if ending not in WRITERS:
        raise SpecError("--out", out.name, f"a name that ends in .{', .'.join(WRITERS)}")
    if not out.parent.is_dir():
        raise SpecError("--out", str(out.parent), "a folder that exists")
    return WRITERS[ending]


def _compute_run(spec: RunSpec) -> Any:
    """Compute a run and return its result. Cost and progress are printed to stderr."""
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
