"""What measuring costs, and what connections cost, against plain autograd. `python -m benchmarks.core` prints rows.

Stacks are built before the clock starts; a round is one forward and backward pass, with or without measurement.
"""

from collections.abc import Callable
from functools import partial

import torch

from benchmarks.rows import Row, print_rows
from benchmarks.side_by_side import clock, median_ratio, time_interleaved
from mhc_core.layers.newton import project_exactly
from mhc_core.layers.sinkhorn import sinkhorn
from mhc_core.measure.passes import measure
from mhc_core.metrics.states import effective_rank
from mhc_core.spec import parse_spec
from mhc_core.stack import Stack, build_stack

DEPTH = 32
CPU = torch.device("cpu")
CALLS = "operator calls and Python dominate at this width"


def build(width: int, **connection: object) -> Stack:
    """Return a stack of depth 32 with MLP blocks and 128 tokens in float32."""
    return build_stack(parse_spec({"depth": DEPTH, "width": width, "block": {"kind": "mlp"}, "connection": connection}))


def differentiate(stack: Stack) -> object:
    """Compute all gradients that a run needs, with bare autograd."""
    return torch.autograd.grad(stack(), list(stack.parameters()), allow_unused=True)


def time_width(width: int) -> dict[str, float]:
    """Return the median ratios of times at one width."""
    residual, static = build(width, kind="residual"), build(width, kind="mhc")
    dynamic, single = (build(width, kind="mhc", dynamic=True, sinkhorn_iters=rounds) for rounds in (20, 1))
    states = torch.randn(DEPTH, dynamic.spec.input.batch * dynamic.spec.input.tokens, width)
    seconds = time_interleaved(
        {
            "residual": clock(lambda: differentiate(residual)),
            "static": clock(lambda: differentiate(static)),
            "dynamic": clock(lambda: differentiate(dynamic)),
            "one round": clock(lambda: differentiate(single)),
            "measured": clock(lambda: list(measure(dynamic, CPU))),
            "ranks": clock(lambda: [effective_rank(block) for block in states.split(16)]),
        }
    )
    pairs = (
        ("measured", "dynamic"),
        ("ranks", "dynamic"),
        ("dynamic", "residual"),
        ("one round", "residual"),
        ("static", "residual"),
    )
    return {name: median_ratio(seconds, name, against) for name, against in pairs}


def to_rows(width: int) -> list[Row]:
    """Return the rows of one width; their reasons contain further measured ratios."""
    found = time_width(width)
    what, limits = f"dynamic mHC n = 4, C = {width}", {64: (1.10, 2.2), 256: (1.05, 1.3)}[width]
    over = f"over thirty metrics of every layer; the dearest, eigenvalues for the effective rank, {found['ranks']:.2f}"
    rounds = f"with one round of Sinkhorn {found['one round']:.2f}: what a layer's small operators cost in calls"
    rows = [
        Row(f"{what}, everything measured", "the same, bare autograd", found["measured"], "x", limits[0], reason=over),
        Row(what, "residual stack", found["dynamic"], "x", limits[1], reason=rounds),
    ]
    if width == 64:
        rows.append(Row("static mHC n = 4, C = 64", "residual stack", found["static"], "x", 1.3, reason=CALLS))
    return rows


def time_projection(spread: float) -> Row:
    """Time both ways to mHC's matrix, forward and backward, for 4096 tokens with logits N(0, spread^2)."""
    logits = spread * torch.randn(4096, 4, 4, generator=torch.Generator().manual_seed(0))
    logits.requires_grad_()
    weights = torch.randn(4, 4, generator=torch.Generator().manual_seed(1))
    ways = {
        "newton": lambda: project_exactly(logits.double()).float(),
        "rounds": lambda: sinkhorn(logits, 20),
    }

    def pass_both_ways(way: Callable[[], torch.Tensor]) -> None:
        torch.autograd.grad((weights * way()).sum(), logits)

    seconds = time_interleaved({name: clock(partial(pass_both_ways, way)) for name, way in ways.items()})
    missed = {name: (way().sum(-2) - 1).abs().max().item() for name, way in ways.items()}
    reason = f"columns miss 1 by {missed['newton']:.1e} at most, after twenty rounds by {missed['rounds']:.1e}"
    what = f"the exact projection by Newton's method, 4096 matrices, n = 4, logits N(0, {spread:g}²), both ways"
    return Row(what, "20 rounds of Sinkhorn", median_ratio(seconds, "newton", "rounds"), "x", None, reason=reason)


def main() -> None:
    """Print the rows."""
    torch.set_num_threads(1)
    print_rows([*to_rows(256), *to_rows(64), *(time_projection(spread) for spread in (1.0, 10.0))])


if __name__ == "__main__":
    main()
