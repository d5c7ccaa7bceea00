"""What measuring costs, and what connections cost, against plain autograd of the same stack. One thread."""

import torch

from benchmarks.side_by_side import median_ratio, time_interleaved
from mhc_core.run import run
from mhc_core.spec import RunSpec, parse_spec
from mhc_core.stack import build_stack

DEPTH = 32


def _spec(width: int, **connection: object) -> RunSpec:
    return parse_spec({"depth": DEPTH, "width": width, "block": {"kind": "mlp"}, "connection": connection})


def _autograd(spec: RunSpec) -> object:
    """Build the stack and take its gradients without measuring anything: what a run does besides."""
    stack = build_stack(spec)
    return torch.autograd.grad(stack(), list(stack.parameters()), allow_unused=True)


def main() -> None:
    """Print one row a comparison."""
    torch.set_num_threads(1)
    rows = []
    for width in (64, 256):
        residual, static = _spec(width, kind="residual"), _spec(width, kind="mhc")
        dynamic = _spec(width, kind="mhc", dynamic=True)
        seconds = time_interleaved(
            {
                "residual": lambda spec=residual: _autograd(spec),
                "static": lambda spec=static: _autograd(spec),
                "dynamic": lambda spec=dynamic: _autograd(spec),
                "measured": lambda spec=dynamic: list(run(spec)),
            }
        )
        rows += [
            (f"static mHC, n 4, C {width}", "residual stack", median_ratio(seconds, "static", "residual")),
            (f"dynamic mHC, n 4, C {width}", "residual stack", median_ratio(seconds, "dynamic", "residual")),
            (f"fully measured dynamic mHC, C {width}", "bare autograd", median_ratio(seconds, "measured", "dynamic")),
        ]
    print(f"depth {DEPTH}, MLP blocks, 128 tokens, float32, one thread; medians of 9 interleaved rounds")
    for what, against, ratio in rows:
        print(f"{what:40s} / {against:16s} {ratio:6.2f}")


if __name__ == "__main__":
    main()
