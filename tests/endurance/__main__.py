"""`python -m tests.endurance NAME [options]`: one trial; it fails where a target is missed."""

import importlib
import os
import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from benchmarks.rows import Row, describe_machine, format_table

Trial = Callable[[Sequence[str]], list[Row]]

FOLDER = Path(__file__).resolve().parent


def list_trials() -> list[str]:
    """Modules of this folder that have a `run`."""
    return sorted(path.stem for path in FOLDER.glob("*.py") if "\ndef run(arguments: " in path.read_text())


def load_trial(name: str) -> Trial:
    """The `run` of a trial, which takes the rest of the command line."""
    trial: Trial = importlib.import_module(f"tests.endurance.{name}").run
    return trial


def main(arguments: Sequence[str]) -> int:
    """Run a trial and print its rows: 0 where each target is met, 1 where not, 2 where there is no such trial."""
    trials = list_trials()
    if not arguments or arguments[0] not in trials:
        print(f"usage: python -m tests.endurance {{{','.join(trials)}}} [--help]", file=sys.stderr)
        return 2
    for pool in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ[pool] = "1"
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("stopped"))  # so that the trial ends what it has started
    rows = load_trial(arguments[0])(arguments[1:])
    print(f"{describe_machine()}\n\n{format_table(rows)}")
    return int(any(row.is_met is False for row in rows))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
