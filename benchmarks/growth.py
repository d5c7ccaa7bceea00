"""How time and memory of a run grow with depth. `python -m benchmarks.growth` prints rows.

CPU time, and peak memory beyond the start, a process a depth: width 64, one thread, mHC in the default comparison
otherwise. A layer that costs the same at every depth gives 1.00. CKA compares every two layers and keeps a Gram matrix
of each, so it is timed with and without.
"""

import json
import subprocess
import sys
from typing import Any

from benchmarks.rows import Row, print_rows

DEPTHS = (64, 256, 1024)
ROUNDS = 3
CKA_REASON = "every pair of layers is compared: L^2 P^2 operations"

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
    def skip(self, layers, samples, device, dtype, biased=False):
        self.filled, self.faults_L = 0, torch.zeros(layers, dtype=torch.int64)
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
    """Rows of a layer at the greatest depth against one at the least; all depths to standard error."""
    rows = []
    for with_cka in (False, True):
        layers = [_measure_layer(depth, with_cka) for depth in DEPTHS]
        name = "with CKA" if with_cka else "CKA apart"
        for depth, (time_ms, size_kb) in zip(DEPTHS, layers, strict=True):
            print(f"{name}: depth {depth:4d} {time_ms:6.2f} ms, {size_kb:6.0f} kB a layer", file=sys.stderr, flush=True)
        against = f"a layer at depth {DEPTHS[0]}, least of {ROUNDS} processes"
        for what, (last, first) in zip(("time", "memory"), zip(layers[-1], layers[0], strict=True), strict=True):
            measure = f"{what} of a layer at depth {DEPTHS[-1]}, {name}"
            rows.append(Row(measure, against, last / first, "x", 1.15, reason=CKA_REASON if with_cka else ""))
    print_rows(rows)


def _measure_layer(depth: int, with_cka: bool) -> tuple[float, float]:
    """Milliseconds and kilobytes a layer."""
    rounds = [_measure(depth, with_cka) for _ in range(ROUNDS)]
    seconds, size = (min(found[key] for found in rounds) / depth for key in ("seconds", "bytes"))
    return seconds * 1e3, size / 1e3


if __name__ == "__main__":
    main()
