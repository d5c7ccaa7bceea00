"""Define the command `check package.module:Class`, which compares a connection with the laws of its family."""

import argparse
import json
import sys
from typing import Any

from mhc_core.spec import SpecError


def add_parser(commands: Any) -> None:
    """Add the command `check` and its options."""
    parser = commands.add_parser("check", help="compare a connection with the laws of its family and with our own")
    parser.add_argument("target", help="package.module:Class, or a function that builds a module")
    parser.add_argument("--args", default="{}", help="keyword arguments of the target, a JSON object")
    parser.add_argument(
        "--family",
        default="mhc",
        help="mhc (default), hc, attnres, gated, identity_hc, mhc_lite, kromhc, orthostochastic, go_mhc, tbp or "
        "circulant",
    )
    parser.add_argument("--rounds", type=int, default=20, help="expected number of Sinkhorn rounds, 20 by default")
    parser.add_argument("--eps", type=float, default=1e-6, help="expected eps of the Sinkhorn rounds, 1e-6 by default")
    parser.add_argument(
        "--dtype", default="float32", help="type in which the module is used: float32 (default) or bfloat16"
    )
    parser.add_argument(
        "--streams", type=int, help="number of streams, if the shapes of parameters do not determine it"
    )
    parser.add_argument("--width", type=int, help="width of a stream, if the shapes of parameters do not determine it")
    for name, meaning in (
        ("write", "applies coefficients"),
        ("expand", "creates streams"),
        ("reduce", "joins streams"),
    ):
        parser.add_argument(f"--{name}", help=f"package.module:function that {meaning}, see docs/check.md")
    parser.add_argument("--compile", action="store_true", help="also compare with torch.compile, which takes a minute")
    parser.add_argument("--json", action="store_true", help="print the report as JSON")
    parser.set_defaults(run=run)


def run(known: argparse.Namespace) -> int:
    """Check a module and print the report. Return 0 if it passes, 1 if it fails, 2 if it could not be checked."""
    try:
        arguments = json.loads(known.args)
    except json.JSONDecodeError as error:
        return _print_error(SpecError("--args", known.args, f"a JSON object: {error}"))
    if not isinstance(arguments, dict):
        return _print_error(SpecError("--args", arguments, "a JSON object"))
    from mhc_core.checks.check import format_detection
    from mhc_probe.command_targets import load_name, load_target
    from mhc_probe.conformance import check

    if "" not in sys.path:
        sys.path.insert(0, "")  # import modules from this folder, as `python` does
    options = {name: getattr(known, name) for name in ("family", "rounds", "eps", "dtype", "streams", "width")}
    try:
        target = load_target(known.target, arguments)
        functions = {name: getattr(known, name) for name in ("write", "expand", "reduce")}
        options |= {name: load_name(text) for name, text in functions.items() if text is not None}
        report = check(target, **options, compiled=known.compile)
    except SpecError as error:
        return _print_error(error)
    if known.json:
        print(report.to_json())
    else:
        print(report, "", format_detection(report.checks), sep="\n")
    return 0 if report.passed else 1


def _print_error(error: SpecError) -> int:
    """Print an error to the standard error. Return exit code 2."""
    print(error, file=sys.stderr)
    return 2
