"""What each family of connections costs against the residual stack: `python -m benchmarks.families` prints rows.

One forward and backward pass by plain autograd of 32 MLP layers, 128 tokens, n = 4, dynamic where a family can be. The
targets are of mHC alone and are in `benchmarks.core`.
"""

from functools import partial

import torch

from benchmarks.core import build, differentiate
from benchmarks.rows import Row, print_rows
from benchmarks.side_by_side import clock, median_ratio, time_interleaved
from mhc_core.families import FAMILIES

WIDTHS = (64, 256)
REFERENCE = "residual"


def to_rows(width: int) -> list[Row]:
    """Return one row for each family at a width; all are timed in the same rounds."""
    stacks = {
        kind: build(width, kind=kind, **({"dynamic": True} if family.by_token else {}))
        for kind, family in FAMILIES.items()
    }
    seconds = time_interleaved({kind: clock(partial(differentiate, stack)) for kind, stack in stacks.items()})
    return [
        Row(f"{FAMILIES[kind].name}, n = 4, C = {width}", "residual stack", median_ratio(seconds, kind, REFERENCE), "x")
        for kind in FAMILIES
        if kind != REFERENCE
    ]


def main() -> None:
    """Print the rows."""
    torch.set_num_threads(1)
    print_rows([row for width in WIDTHS for row in to_rows(width)])


if __name__ == "__main__":
    main()
