"""What edits and the atlas cost: `python -m benchmarks.edits` prints rows.

The default view's mHC: 64 layers, four streams. An edited run measures the run without edits too, for its effect. The
atlas is compared with its cuts as single edited runs, one after another. One of them is timed.
"""

from collections.abc import Callable
from typing import Any

import torch

from benchmarks.rows import Row, print_rows
from benchmarks.side_by_side import clock, median_ratio, time_interleaved
from mhc_core.measure.atlas import list_cuts, measure_atlas
from mhc_core.measure.run import run
from mhc_core.spec import RunSpec, parse_spec

LAYER, ROUNDS = 20, 9


def build(edits: list[dict[str, Any]]) -> RunSpec:
    """Return the default spec with edits."""
    return parse_spec({"edits": edits})


def compute(spec: RunSpec) -> Callable[[], object]:
    """Return a call that computes a run."""
    return lambda: list(run(spec))


def main() -> None:
    """Print the rows."""
    torch.set_num_threads(1)
    plain = build([])
    cuts = list_cuts(plain)
    single = build([{"layers": [LAYER, LAYER], "what": "stream", "index": 1, "do": "zero"}])
    ways = {"plain": compute(plain), "edited": compute(single), "atlas": lambda: list(measure_atlas(plain))}
    seconds = time_interleaved({name: clock(way) for name, way in ways.items()}, ROUNDS)
    count = len(cuts) * plain.depth * plain.streams
    edited = median_ratio(seconds, "edited", "plain")
    atlas = median_ratio(seconds, "atlas", "edited") / count
    print_rows(
        [
            Row("edited run, base included", "the same without edits", edited, "x"),
            Row(f"atlas of {count} cuts", "its cuts as single runs", atlas, "x", 0.125),
        ]
    )


if __name__ == "__main__":
    main()
