"""`python -m app`, installed as `mhc-scope`."""

import sys

from app.cli import main


def run() -> None:
    """Run the command of this process, and end it with the command's exit code."""
    sys.exit(main(sys.argv[1:]))


if __name__ == "__main__":
    run()
