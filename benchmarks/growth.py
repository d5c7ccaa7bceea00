"""How time and memory of a run grow with depth: a process a depth, CPU time and peak memory beyond what it starts with.

Width 64, one thread, mHC in the default comparison otherwise. A layer that costs the same at every depth gives 1.00.
CKA compares every two layers and keeps a Gram matrix of each, so it is timed with and without.
"""

import json
import subprocess
import sys
from typing import Any

DEPTHS = (64, 256, 1024)
ROUNDS = 2

CHILD = """
import json, resource, sys, time
import torch
from mhc_core.metrics.similarity import CkaRows
from mhc_core.run import run
from mhc_core.spec import parse_spec

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024

depth, with_cka = int(sys.argv[1]), sys.argv[2] == "True"
if not with_cka:
    # A constant row: nothing is kept and nothing compared.
    def skip(self, layers, samples, device, dtype):
        self.filled = 0
    def count(self, m_KNC):
        self.filled += len(m_KNC)
        return torch.ones(len(m_KNC), self.filled)
    CkaRows.__init__, CkaRows.add = skip, count
torch.set_num_threads(1)
# Libraries loaded and threads started, in a stack too small to leave room that the measured one could use again.
list(run(parse_spec({"depth": 2, "width": 64})))
before, start = peak(), time.process_time()
for frame in run(parse_spec({"depth": depth, "width": 64})):
    pass
print(json.dumps({"seconds": time.process_time() - start, "bytes": peak() - before}))
"""


def _measure(depth: int, with_cka: bool) -> dict[str, Any]:
    command = [sys.executable, "-c", CHILD, str(depth), str(with_cka)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def main() -> None:
    """Print a row a depth: milliseconds and kilobytes a layer, and their ratio to the shallowest."""
    for with_cka in (True, False):
        print(f"\n{'with' if with_cka else 'without'} CKA; least of {ROUNDS} processes")
        print(f"{'depth':>6s} {'ms a layer':>11s} {'ratio':>6s} {'kB a layer':>11s} {'ratio':>6s}")
        first: tuple[float, float] | None = None
        for depth in DEPTHS:
            rounds = [_measure(depth, with_cka) for _ in range(ROUNDS)]
            time_ms = min(found["seconds"] for found in rounds) / depth * 1e3
            size_kb = min(found["bytes"] for found in rounds) / depth / 1e3
            first = first or (time_ms, size_kb)
            ratios = time_ms / first[0], size_kb / first[1]
            print(f"{depth:6d} {time_ms:11.2f} {ratios[0]:6.2f} {size_kb:11.0f} {ratios[1]:6.2f}", flush=True)


if __name__ == "__main__":
    main()
