"""Several seeds at once against one after another: the measurement behind `seeds_at_once`.

`python -m benchmarks.seeds`. Process CPU time a seed, one thread, interleaved, best of three rounds, everything
included: drawing weights, both passes, all measurements but CKA.
"""

import time

import torch

from mhc_core.cost import BATCH_ENTRIES, MOST_SEEDS, estimate
from mhc_core.frames import Frame
from mhc_core.result import Result
from mhc_core.seed_batch import measure_batch
from mhc_core.seeds import measure_one
from mhc_core.spec import RunSpec, parse_spec

ROUNDS, DEPTH, TOKENS = 3, 32, 64
CONNECTIONS: dict[str, dict[str, object]] = {
    "residual": {"kind": "residual"},
    "static mHC": {"kind": "mhc"},
    "dynamic mHC": {"kind": "mhc", "dynamic": True},
}


def _cpu_seconds(specs: list[RunSpec], size: int) -> float:
    """CPU seconds a seed, `size` seeds at once."""
    results = []
    for spec in specs:
        results.append(Result())
        results[-1].add(Frame("start", {"layers": spec.depth}))
    begun = time.process_time()
    for start in range(0, len(specs), size):
        part = slice(start, start + size)
        way = measure_batch if size > 1 else measure_one
        for _ in way(specs[part], torch.device("cpu"), results[part]):
            pass
    return (time.process_time() - begun) / len(specs)


def main() -> None:
    """Print one row a case."""
    torch.set_num_threads(1)
    print(f"depth {DEPTH}, 2 x {TOKENS} tokens, float32; the rule batches up to {BATCH_ENTRIES} entries")
    print(f"{'':38s} {'entries':>8s} {'alone':>9s} {f'{MOST_SEEDS} at once':>10s} {'ratio':>6s} {'predicted':>10s}")
    for width in (16, 64, 128, 256):
        for block in ("mlp", "transformer"):
            for name, connection in CONNECTIONS.items():
                base = {"depth": DEPTH, "width": width, "block": {"kind": block}, "connection": connection}
                specs = [parse_spec({**base, "seed": seed}) for seed in range(MOST_SEEDS)]
                alone, together = (
                    min(times)
                    for times in zip(
                        *((_cpu_seconds(specs, 1), _cpu_seconds(specs, MOST_SEEDS)) for _ in range(ROUNDS)),
                        strict=True,
                    )
                )
                many = parse_spec({**base, "seeds": 2})
                predicted = estimate(many).seconds - estimate(specs[0]).seconds
                print(
                    f"C {width:3d}, {block:12s} {name:18s} {2 * TOKENS * width:8d} {1e3 * alone:6.0f} ms "
                    f"{1e3 * together:7.0f} ms {alone / together:6.2f} {1e3 * predicted:7.0f} ms",
                    flush=True,
                )


if __name__ == "__main__":
    main()
