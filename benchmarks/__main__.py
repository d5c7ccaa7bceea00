"""`python -m benchmarks`: every benchmark in turn, each in a process of its own, and all rows as one table."""

import json
import os
import subprocess
import sys

from benchmarks.rows import Row, describe_machine, format_table

BENCHMARKS = (
    *("core", "families", "edits", "gpu", "encoding", "peers", "memory", "growth", "cost", "monitor"),
    *("waits", "latency", "storage", "visit", "page", "cut", "interaction", "hand", "presets", "page_memory"),
)


def collect(name: str) -> list[Row]:
    """The rows of one benchmark, which are told as they come too.

    Raises
    ------
    subprocess.CalledProcessError
        Where it has failed.
    """
    print(f"{name} ...", file=sys.stderr, flush=True)
    environment = os.environ | {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
    command = [sys.executable, "-m", f"benchmarks.{name}"]
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True)
    rows = [Row(**json.loads(line)) for line in done.stdout.splitlines()]
    for row in rows:
        print("  " + " | ".join(row.to_cells()), file=sys.stderr, flush=True)
    return rows


def main() -> None:
    """Print the table; what prints tables of its own is run as it is. One that fails costs no rows of the others."""
    if sys.argv[1:2] in (["laws"], ["drift"], ["interventions"]):
        command = [sys.executable, "-m", f"benchmarks.{sys.argv[1]}", *sys.argv[2:]]
        sys.exit(subprocess.run(command, check=False).returncode)
    rows, failed = [], []
    for name in sys.argv[1:] or BENCHMARKS:
        try:
            rows += collect(name)
        except subprocess.CalledProcessError:
            failed.append(name)
    print(f"{describe_machine()}; one thread; medians of at least 9 interleaved rounds\n")
    print(format_table(rows))
    if failed:
        sys.exit(f"failed, with its rows missing above: {', '.join(failed)}")


main()
