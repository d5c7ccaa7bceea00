"""What a server predicts for a run against how long it takes, alone and beside another: `python -m benchmarks.waits`
prints rows and, before them, every spec on standard error.

Sixty specs with several seeds, Jacobians, training, depth 512 and every connection, in an order of no meaning, on one
warm worker, then two at a time on two. The prediction is what the answer to the POST says, so that the server learns as
it does in use; time is that between a worker's taking the run and its last frame.
"""

import random
import sys
import time
from collections.abc import Iterator, Sequence
from itertools import product
from tempfile import TemporaryDirectory
from typing import Any

import httpx

from benchmarks.latency import serve
from benchmarks.rows import Row, print_rows

NEAR, FAR = 1.3, 2.0
REASON = "other work on the machine comes and goes"
Spec = dict[str, Any]


def list_specs() -> list[Spec]:
    """Return sixty specs that take 0.02 to 8 seconds."""
    specs = [*_vary_connections(), *_vary_stacks()]
    random.Random(0).shuffle(specs)
    return specs


def _vary_connections() -> Iterator[Spec]:
    kinds = ("residual", "hc", "mhc", "identity_hc", "frac", "mhc_lite", "kromhc")
    work = ({"seeds": 8}, {"jacobian": 8}, {"train": {"steps": 20}}, {"depth": 512})
    for kind, more in product(kinds[:4], work):
        yield {"connection": {"kind": kind}, **more}
    dynamic = ({"seeds": 4}, {"train": {"steps": 20}, "depth": 16}, {"jacobian": 4, "depth": 24})
    for kind, more in product(kinds[1:], dynamic):
        yield {"connection": {"kind": kind, "dynamic": True}, **more}


def _vary_stacks() -> Iterator[Spec]:
    """Yield specs with different depths, widths, blocks, connections, types and training."""
    mlp, conv, pair = ({"block": {"kind": kind}} for kind in ("mlp", "conv", "pair"))
    steps = {"train": {"steps": 10}}
    yield {"depth": 512, "width": 16, **mlp, "seeds": 2}
    yield {"depth": 512, "width": 32, **mlp, "connection": {"dynamic": True}, "input": {"tokens": 32}}
    yield {"depth": 512, "width": 32, "connection": {"kind": "hc"}, "train": {"steps": 5}}
    yield {"depth": 128, "connection": {"streams": 8}, "seeds": 2}
    yield {"depth": 32, "connection": {"streams": 8, "dynamic": True}, **mlp, "train": {"steps": 5}}
    yield {"depth": 32, "width": 32, **conv, "seeds": 2}
    yield {"depth": 16, "width": 32, **conv, **steps}
    yield {"depth": 24, **pair, "input": {"batch": 1, "tokens": 144}, "seeds": 2}
    yield {"depth": 16, **pair, "input": {"batch": 1, "tokens": 144}, "train": {"steps": 5}}
    yield {"depth": 16, "width": 256, "seeds": 4}
    yield {"depth": 16, "width": 256, "connection": {"dynamic": True}, **steps}
    yield {"depth": 8, "width": 512, "input": {"tokens": 128}, "jacobian": 2}
    yield {"depth": 16, "width": 512, "connection": {"kind": "residual"}, "seeds": 2}
    yield {"dtype": "float64", "seeds": 3}
    yield {"dtype": "float64", "depth": 32, **steps}
    yield {"dtype": "bfloat16", "seeds": 3}
    yield {"dtype": "bfloat16", "connection": {"kind": "residual"}, **steps}
    yield {"depth": 4, "width": 32}
    yield {"depth": 16, "seeds": 16}
    yield {"depth": 32, **mlp, "jacobian": 16}
    yield {"depth": 32, "input": {"kind": "digits"}, "train": {"steps": 20}}
    yield {"depth": 24, **mlp, "train": {"steps": 100}}
    yield {"depth": 24, "input": {"batch": 8, "tokens": 128}}
    yield {"width": 128, **mlp, "input": {"kind": "gaussian", "batch": 4}, "seeds": 3}
    yield {"connection": {"kind": "none"}, **mlp, "seeds": 8}
    yield {"connection": {"kind": "orthostochastic", "dynamic": True}}


def measure(workers: int) -> list[float]:
    """Return predicted over measured time of every spec, with one run for each worker at a time."""
    with TemporaryDirectory() as data, serve(data, workers=workers) as http:
        _finish(http, [{"depth": 2, "seed": seed, "train": {"steps": 1}} for seed in range(2 * workers)])
        specs = list_specs()
        together = [specs[start : start + workers] for start in range(0, len(specs), workers)]
        return [ratio for group in together for ratio in _finish(http, group)]


def _finish(http: httpx.Client, specs: Sequence[Spec]) -> list[float]:
    """Submit specs together and wait for all. Return predicted over measured time of each."""
    submitted = [http.post("/api/v1/runs", json=spec).json() for spec in specs]
    runs = [_wait_until_done(http, run["id"]) for run in submitted]
    for spec, run in zip(specs, runs, strict=True):
        _print_line(spec, run)
    return [run["cost"]["seconds_likely"] / run["timings"]["run_s"] for run in runs]


def _wait_until_done(http: httpx.Client, run_id: str) -> dict[str, Any]:
    """Poll a run until it is done, and return it."""
    while True:
        run: dict[str, Any] = http.get(f"/api/v1/runs/{run_id}").json()
        if run["status"] == "done":
            return run
        assert run["status"] in ("queued", "running"), run
        time.sleep(0.02)


def _print_line(spec: Spec, run: dict[str, Any]) -> None:
    took, cost = run["timings"]["run_s"], run["cost"]
    held = "" if cost["seconds_low"] <= took <= cost["seconds_high"] else "outside"
    print(f"{took:7.3f} s  {cost['seconds_likely'] / took:5.2f} {held:8} {spec}", file=sys.stderr, flush=True)


def main() -> None:
    """Print the rows."""
    rows = []
    for workers in (1, 2):
        ratios = measure(workers)
        where = f"{len(ratios)} specs, {workers} busy worker{'s' if workers > 1 else ''}"
        near = sum(1 / NEAR <= ratio <= NEAR for ratio in ratios) / len(ratios)
        furthest = max(max(ratio, 1 / ratio) for ratio in ratios)
        rows.append(Row("predicted time of a run within 30 %", where, near, "of them", 0.9, True, REASON))
        rows.append(
            Row("predicted time of a run, the one that is furthest off", where, furthest, "x", FAR, False, REASON)
        )
    print_rows(rows)


if __name__ == "__main__":
    main()
