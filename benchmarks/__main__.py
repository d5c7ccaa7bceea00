"""`python -m benchmarks`: every benchmark in turn, each in a process of its own, and all rows as one table."""

import json
import os
import subprocess
import sys

from benchmarks.rows import Row, describe_machine, format_table

BENCHMARKS = (
    *("core", "gpu", "encoding", "peers", "memory", "growth", "cost", "monitor"),
    *("waits", "latency", "storage", "visit", "page", "interaction", "hand", "page_memory"),
)


def collect(name: str) -> list[Row]:
    """The rows of one benchmark."""
    print(f"{name} ...", file=sys.stderr, flush=True)
    environment = os.environ | {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
    command = [sys.executable, "-m", f"benchmarks.{name}"]
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True)
    return [Row(**json.loads(line)) for line in done.stdout.splitlines()]


def main() -> None:
    """Print the table; what prints tables of its own is run as it is."""
    if sys.argv[1:2] == ["laws"]:
        sys.exit(subprocess.run([sys.executable, "-m", "benchmarks.laws", *sys.argv[2:]], check=False).returncode)
    rows = [row for name in sys.argv[1:] or BENCHMARKS for row in collect(name)]
    print(f"{describe_machine()}; one thread; medians of at least 9 interleaved rounds\n")
    print(format_table(rows))


main()
