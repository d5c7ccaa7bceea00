"""Run the program with limits of a test's own: `python -m tests.limited serve --port 0 HEARTBEAT_S=0.2`."""

import re
import sys
from collections.abc import Sequence

from mhc_scope import limits

LIMIT = re.compile(r"([A-Z_]+)=(.+)")


def to_command(arguments: Sequence[str]) -> list[str]:
    """Return the command that runs the program with these arguments: as people do, unless one is a limit."""
    is_limited = any(LIMIT.fullmatch(word) for word in arguments)
    return [sys.executable, "-m", "tests.limited" if is_limited else "app", *arguments]


def apply_limits(arguments: Sequence[str]) -> list[str]:
    """Set the limits among the arguments in this process, and return the other arguments."""
    others = []
    for word in arguments:
        found = LIMIT.fullmatch(word)
        if found is None:
            others.append(word)
        else:
            kind = type(getattr(limits, found[1]))
            setattr(limits, found[1], kind(found[2]))
    return others


if __name__ == "__main__":
    from mhc_scope.cli import main

    sys.exit(main(apply_limits(sys.argv[1:])))
