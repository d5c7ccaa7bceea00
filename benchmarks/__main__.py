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
    """Run one benchmark in a process of its own. Print its rows as they come, and return them.

    Raises
    ------
    subprocess.CalledProcessError
        If the benchmark fails.
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
    """Run the benchmarks and print the table. One that fails does not stop the others."""
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
