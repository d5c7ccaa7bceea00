"""`python -m benchmarks`: every benchmark in turn, each in a process of its own."""

import subprocess
import sys

BENCHMARKS = ("core", "latency", "page", "page_memory")

for name in BENCHMARKS:
    print(f"\n== {name}", flush=True)
    subprocess.run([sys.executable, "-m", f"benchmarks.{name}"], check=True)
