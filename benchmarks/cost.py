"""Predicted against measured time and memory of thirty specs. `python -m benchmarks.cost` prints rows and, before
them, every spec on standard error.

Every spec runs in a fresh process, as in a warm worker: a small run first, then the calibration, then the spec, once.
A second run of the same spec would find the memory of the first and take a fifth less, but a server computes a spec
once. Time is processor time, so that a busy machine counts little.
"""

import json
import sys
import time
from collections import deque
from typing import Any

import torch

from benchmarks.processes import forget_peak, read_memory, run_fresh
from benchmarks.rows import Row, print_rows
from mhc_core.cost.estimates import LIBRARY_BYTES, estimate
from mhc_core.cost.rates import calibrate
from mhc_core.measure.run import run
from mhc_core.spec import RunSpec, parse_spec

NEAR = 1.25
REASON = "rates of a busy machine change between calibration and run"
# depth, width, connection, streams, dynamic, block, dtype, batch, tokens
SPECS = (
    (64, 64, "residual", 1, False, "transformer", "float32", 2, 64),
    (64, 64, "hc", 4, False, "transformer", "float32", 2, 64),
    (64, 64, "mhc", 4, False, "transformer", "float32", 2, 64),
    (64, 64, "mhc", 4, True, "transformer", "float32", 2, 64),
    (64, 64, "hc", 4, True, "mlp", "float32", 2, 64),
    (32, 256, "mhc", 4, True, "mlp", "float32", 2, 64),
    (32, 256, "residual", 1, False, "mlp", "float32", 2, 64),
    (32, 256, "mhc", 4, False, "mlp", "float32", 4, 128),
    (8, 512, "mhc", 4, False, "transformer", "float32", 2, 128),
    (8, 512, "residual", 1, False, "mlp", "float32", 8, 64),
    (16, 512, "hc", 2, True, "transformer", "float32", 1, 64),
    (512, 16, "residual", 1, False, "mlp", "float32", 2, 32),
    (512, 32, "mhc", 4, False, "transformer", "float32", 2, 64),
    (256, 64, "mhc", 4, False, "mlp", "float32", 2, 64),
    (256, 32, "mhc", 2, True, "mlp", "float32", 1, 64),
    (128, 64, "mhc", 8, False, "transformer", "float32", 2, 64),
    (64, 64, "mhc", 8, True, "mlp", "float32", 1, 64),
    (128, 128, "hc", 4, False, "transformer", "float32", 2, 64),
    (64, 128, "none", 1, False, "mlp", "float32", 4, 64),
    (64, 32, "residual", 1, False, "conv", "float32", 2, 64),
    (32, 96, "mhc", 4, False, "conv", "float32", 2, 64),
    (48, 64, "residual", 1, False, "pair", "float32", 1, 144),
    (48, 64, "mhc", 4, True, "pair", "float32", 1, 144),
    (64, 64, "kromhc", 4, False, "transformer", "float32", 2, 64),
    (64, 64, "kromhc", 4, True, "transformer", "float32", 4, 64),
    (96, 64, "mhc", 4, False, "transformer", "float64", 2, 64),
    (48, 128, "residual", 1, False, "mlp", "float64", 2, 64),
    (64, 64, "mhc", 4, False, "transformer", "bfloat16", 2, 64),
    (64, 128, "residual", 1, False, "mlp", "bfloat16", 2, 64),
    (32, 64, "mhc", 1, False, "transformer", "float32", 8, 128),
)


def to_spec(line: tuple[Any, ...]) -> RunSpec:
    """Return the spec of a line of the table."""
    depth, width, kind, streams, dynamic, block, dtype, batch, tokens = line
    return parse_spec(
        {
            "depth": depth,
            "width": width,
            "dtype": dtype,
            "device": "cpu",
            "connection": {"kind": kind, "streams": streams, "dynamic": dynamic},
            "block": {"kind": block},
            "input": {"kind": "text", "batch": batch, "tokens": tokens},
        }
    )


def measure(spec: RunSpec) -> dict[str, float]:
    """Run a spec in this process. Return predicted and measured seconds and bytes."""
    torch.set_num_threads(1)
    deque(run(spec.model_copy(update={"depth": 2})), maxlen=0)
    cost = estimate(spec, calibrate())
    before = read_memory("VmRSS")
    forget_peak()
    start = time.process_time()
    deque(run(spec), maxlen=0)
    seconds, peak = time.process_time() - start, read_memory("VmHWM")
    return {
        "seconds": seconds,
        "predicted_seconds": cost.seconds,
        "bytes": peak,
        "predicted_bytes": cost.peak_bytes,
        "added_bytes": peak - before,
        "predicted_added_bytes": cost.peak_bytes - LIBRARY_BYTES,
    }


def main() -> None:
    """Print the rows, or measure one spec."""
    if len(sys.argv) > 1:
        print(json.dumps(measure(to_spec(tuple(json.loads(sys.argv[1]))))))
        return
    found, rows = [], []
    for line in SPECS:
        found.append(run_fresh("benchmarks.cost", json.dumps(line)))
        print_line(line, found[-1])
    for key, what in (("seconds", "time"), ("bytes", "memory of the process"), ("added_bytes", "memory of the run")):
        share = sum(is_near(one, key) for one in found) / len(found)
        rows.append(
            Row(f"predicted {what} within 25 %", f"measured, {len(found)} specs", share, "of them", 0.9, True, REASON)
        )
    print_rows(rows)


def is_near(found: dict[str, float], key: str) -> bool:
    """Return whether the prediction is within 25 % of the measurement, as a ratio in either direction."""
    return 1 / NEAR <= found[f"predicted_{key}"] / found[key] <= NEAR


def print_line(line: tuple[Any, ...], one: dict[str, float]) -> None:
    """Print measured seconds and megabytes of one spec, each with the ratio of the prediction to it."""
    depth, width, kind, streams, dynamic, block, dtype, batch, tokens = line
    name = f"{kind} {streams}{' dynamic' if dynamic else ''}"
    cells = [f"{depth:4} {width:4} {name:18} {block:12} {dtype:9} {batch * tokens:5} {one['seconds']:8.3f} s"]
    cells += [f"{one['bytes'] / 1e6:5.0f} MB {one['added_bytes'] / 1e6:5.0f} MB added; predicted / measured:"]
    cells += [f"{one[f'predicted_{key}'] / one[key]:5.2f}" for key in ("seconds", "bytes", "added_bytes")]
    print(*cells, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
