"""`python -m app`, installed as `mhc-scope`."""

import signal
import sys

from mhc_scope.cli import main


def run() -> None:
    """Run the command of this process, and end it with the command's exit code."""
    # As other programs of the command line: `mhc-scope schema | head` ends without an error when `head` has ended.
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    sys.exit(main(sys.argv[1:]))


if __name__ == "__main__":
    run()
