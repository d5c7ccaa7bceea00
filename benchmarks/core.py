"""What measuring costs, and what connections cost, against plain autograd. `python -m benchmarks.core` prints rows.

Stacks are built before the clock starts; a round is one forward and backward pass, with or without measurement.
"""

import torch

from benchmarks.rows import Row, print_rows
from benchmarks.side_by_side import clock, median_ratio, time_interleaved
from mhc_core.passes import measure
from mhc_core.spec import parse_spec
from mhc_core.stack import Stack, build_stack

DEPTH = 32
CPU = torch.device("cpu")
CALLS = "operator calls and Python dominate at this width"


def build(width: int, **connection: object) -> Stack:
    """Depth 32, MLP blocks, 128 tokens, float32."""
    return build_stack(parse_spec({"depth": DEPTH, "width": width, "block": {"kind": "mlp"}, "connection": connection}))


def differentiate(stack: Stack) -> object:
    """Every gradient that a run takes, through bare autograd."""
    return torch.autograd.grad(stack(), list(stack.parameters()), allow_unused=True)


def time_width(width: int) -> dict[str, float]:
    """Median ratios at one width."""
    residual, static = build(width, kind="residual"), build(width, kind="mhc")
    dynamic = build(width, kind="mhc", dynamic=True)
    seconds = time_interleaved(
        {
            "residual": clock(lambda: differentiate(residual)),
            "static": clock(lambda: differentiate(static)),
            "dynamic": clock(lambda: differentiate(dynamic)),
            "measured": clock(lambda: list(measure(dynamic, CPU))),
        }
    )
    pairs = (("measured", "dynamic"), ("dynamic", "residual"), ("static", "residual"))
    return {name: median_ratio(seconds, name, against) for name, against in pairs}


def main() -> None:
    """Print the rows."""
    torch.set_num_threads(1)
    wide, narrow = time_width(256), time_width(64)
    same = "the same stack, bare autograd"
    kept = "metrics of every layer are not yet paid for by a cheaper pass"
    print_rows(
        [
            Row("dynamic mHC n = 4, C = 256, everything measured", same, wide["measured"], "x", 1.05, reason=kept),
            Row("dynamic mHC n = 4, C = 64, everything measured", same, narrow["measured"], "x", 1.10, reason=kept),
            Row("dynamic mHC n = 4, C = 64", "residual stack", narrow["dynamic"], "x", 2.2, reason=CALLS),
            Row("dynamic mHC n = 4, C = 256", "residual stack", wide["dynamic"], "x", 1.3, reason=CALLS),
            Row("static mHC n = 4, C = 64", "residual stack", narrow["static"], "x", 1.3, reason=CALLS),
        ]
    )


if __name__ == "__main__":
    main()
