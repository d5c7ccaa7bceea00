"""Run the command line, installed as `mhc-scope`."""

import argparse
import os
import signal
import sys
from collections.abc import Sequence

from mhc_core.discovery import InvalidAddition

ADDITIONS = ("connection", "metric")


def run() -> None:
    """Run the command of this process, and end it with the command's exit code."""
    # Like other command-line programs: `mhc-scope schema | head` ends without an error when `head` has ended.
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    arguments = _export_additions(sys.argv[1:])
    try:
        # Imported late: specs and metrics read the variables of `ADDITIONS` when they are imported.
        import mhc_core.metrics  # noqa: F401
        from mhc_scope.cli import main

        code = main(arguments)
    except InvalidAddition as error:
        print(error, file=sys.stderr)
        sys.exit(2)
    sys.exit(code)


def _export_additions(arguments: Sequence[str]) -> list[str]:
    """Move the flags of `ADDITIONS` to environment variables, which workers read too; return the other arguments."""
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    for name in ADDITIONS:
        parser.add_argument(f"--{name}", action="append", default=[])
    known, rest = parser.parse_known_args(arguments)
    for name in ADDITIONS:
        if targets := getattr(known, name):
            os.environ[f"MHC_{name.upper()}"] = ",".join(targets)
    return rest


if __name__ == "__main__":
    run()
