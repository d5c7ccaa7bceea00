"""Run `python -m app`, installed as `mhc-scope`."""

import argparse
import os
import signal
import sys
from collections.abc import Sequence

from mhc_core.family import InvalidFamily


def run() -> None:
    """Run the command of this process, and end it with the command's exit code."""
    # Like other command-line programs: `mhc-scope schema | head` ends without an error when `head` has ended.
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    arguments = _export_connections(sys.argv[1:])
    try:
        from mhc_scope.cli import main  # Late: specs collect the connections when they are imported.
    except InvalidFamily as error:
        print(error, file=sys.stderr)
        sys.exit(2)
    sys.exit(main(arguments))


def _export_connections(arguments: Sequence[str]) -> list[str]:
    """Move the flag `--connection` to the variable that this process and its workers read; return the other flags."""
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("--connection", action="append", default=[])
    known, rest = parser.parse_known_args(arguments)
    if known.connection:
        os.environ["MHC_CONNECTION"] = ",".join(known.connection)
    return rest


if __name__ == "__main__":
    run()
