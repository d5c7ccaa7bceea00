"""How time and memory of a run grow with depth. `python -m benchmarks.growth` prints rows.

CPU time, and peak memory beyond the start, a process a depth: width 64, one thread, mHC in the default comparison
otherwise. A layer that costs the same at every depth gives 1.00. CKA compares every two layers and keeps a Gram matrix
of each, so it is timed with and without.
"""

import argparse
import json
import sys
import time
from collections import deque
from unittest.mock import patch

import torch

from benchmarks.processes import read_memory, run_fresh
from benchmarks.rows import Row, print_rows
from mhc_core.measure import step_probe
from mhc_core.measure.run import run
from mhc_core.metrics.similarity import CkaRows
from mhc_core.spec import parse_spec

DEPTHS = (64, 256, 1024)
ROUNDS = 3
WIDTH, SMALL_DEPTH = 64, 2
CKA_REASON = "every pair of layers is compared: L^2 P^2 operations"


class NoRows(CkaRows):
    """Replaces CKA: stores nothing and compares nothing."""

    def __init__(self, layers: int, *_: object, **__: object) -> None:
        self.filled, self.faults_L = 0, torch.zeros(layers, dtype=torch.int64)

    def add(self, m_KNC: torch.Tensor) -> torch.Tensor:
        """Return rows of ones."""
        self.filled += len(m_KNC)
        return torch.ones(len(m_KNC), self.filled)


def grow(depth: int) -> dict[str, float]:
    """Return the processor seconds of a run in this process, and the bytes by which it raises the largest memory."""
    torch.set_num_threads(1)
    # Libraries loaded and threads started, in a stack too small to leave room that the measured one could use again.
    deque(run(parse_spec({"depth": SMALL_DEPTH, "width": WIDTH})), maxlen=0)
    before, begun = read_memory("VmHWM"), time.process_time()
    deque(run(parse_spec({"depth": depth, "width": WIDTH})), maxlen=0)
    return {"seconds": time.process_time() - begun, "bytes": read_memory("VmHWM") - before}


def measure_growth(depths: tuple[int, ...] = DEPTHS, rounds: int = ROUNDS) -> list[Row]:
    """Return rows that compare a layer at the greatest depth with one at the least. Print all depths."""
    rows = []
    for flags, name in ((("--no-cka",), "CKA apart"), ((), "with CKA")):
        layers = [_measure_layer(depth, flags, rounds) for depth in depths]
        for depth, (time_ms, size_kb) in zip(depths, layers, strict=True):
            print(f"{name}: depth {depth:4d} {time_ms:6.2f} ms, {size_kb:6.0f} kB a layer", file=sys.stderr, flush=True)
        against = f"a layer at depth {depths[0]}, least of {rounds} processes"
        for what, (last, first) in zip(("time", "memory"), zip(layers[-1], layers[0], strict=True), strict=True):
            measure = f"{what} of a layer at depth {depths[-1]}, {name}"
            rows.append(Row(measure, against, last / first, "x", 1.15, reason="" if flags else CKA_REASON))
    return rows


def _measure_layer(depth: int, flags: tuple[str, ...], rounds: int) -> tuple[float, float]:
    """Return milliseconds and kilobytes for each layer."""
    found = [run_fresh("benchmarks.growth", str(depth), *flags) for _ in range(rounds)]
    seconds, size = (min(one[key] for one in found) / depth for key in ("seconds", "bytes"))
    return seconds * 1e3, size / 1e3


def main() -> None:
    """Print the rows, or the measurement of one depth."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.growth", description=__doc__)
    parser.add_argument("depth", type=int, nargs="?")
    parser.add_argument("--no-cka", action="store_true")
    options = parser.parse_args()
    if options.depth is None:
        print_rows(measure_growth())
        return
    with patch.object(step_probe, "CkaRows", NoRows if options.no_cka else CkaRows):
        print(json.dumps(grow(options.depth)))


if __name__ == "__main__":
    main()
