"""Peak memory of a deep run against autograd through the same stack, each in a fresh process; beyond the weights' own.

`python -m benchmarks.memory` prints the row.
"""

import json
import sys
from collections import deque

import torch

from benchmarks.processes import forget_peak, read_memory, run_fresh
from benchmarks.rows import Row, print_rows
from mhc_core.measure.passes import measure
from mhc_core.spec import parse_spec
from mhc_core.stack import build_stack

SPEC = {"depth": 1000, "block": {"kind": "mlp"}, "connection": {"kind": "mhc", "dynamic": True}}


def weigh(way: str) -> int:
    """Return the bytes that one pass adds to those of the built stack."""
    torch.set_num_threads(1)
    stack = build_stack(parse_spec(SPEC))
    before = read_memory("VmRSS")
    forget_peak()
    if way == "autograd":
        torch.autograd.grad(stack(), list(stack.parameters()), allow_unused=True)
    else:
        deque(measure(stack, torch.device("cpu")), maxlen=0)
    return read_memory("VmHWM") - before


def main() -> None:
    """Print the row, or measure one way."""
    if len(sys.argv) > 1:
        print(json.dumps({"bytes": weigh(sys.argv[1])}))
        return
    ours, naive = (run_fresh("benchmarks.memory", way)["bytes"] for way in ("measured", "autograd"))
    against = f"autograd of the same stack ({naive / 1e9:.2g} GB)"
    print_rows([Row("memory, L = 1000, dynamic mHC n = 4, C = 64", against, ours / naive, "x", 0.45)])


if __name__ == "__main__":
    main()
