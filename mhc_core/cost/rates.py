"""The speed of a machine: rates of one thread, measured in a fraction of a second, and defaults of a server core."""

import statistics
import time
from collections.abc import Callable

import torch
import torch.nn.functional as F
from pydantic import BaseModel, ConfigDict, Field

from mhc_core.rng import normal

ROUNDS = 5
FRESH_BYTES = 34 * 2**20  # more than the allocator keeps after it is freed
UP_AND_DOWN = 2.5  # operator calls of forward and backward pass together, for each call of the forward pass
SMALL_PRODUCT = 20  # a product of width C runs at C / (C + 20) of the full rate


class Rates(BaseModel):
    """Rates of one thread of one machine."""

    model_config = ConfigDict(frozen=True)

    flops_per_s: dict[str, float] = Field(description="Arithmetic of wide matrix products, by precision.")
    eigen_flops_per_s: float = Field(description="4 m^3 for the eigenvalues of a symmetric m x m matrix in float64.")
    bytes_per_s: float = Field(description="Operators on single values, a usual mixture.")
    fresh_bytes_per_s: float = Field(description="Memory touched for the first time.")
    s_per_call: float = Field(description="One operator on next to no data, under autograd.")
    drawn_per_s: float = Field(description="Normal variates.")


# Measured by `calibrate` on one core of an AMD EPYC server, torch 2.13.
DEFAULT_RATES = Rates(
    flops_per_s={"float32": 9.0e10, "float64": 4.6e10, "bfloat16": 2.0e11},
    eigen_flops_per_s=1.75e10,
    bytes_per_s=1.9e10,
    fresh_bytes_per_s=2.0e9,
    s_per_call=3.3e-6,
    drawn_per_s=9.5e7,
)


def calibrate() -> Rates:
    """Measure the rates of this machine in this process. Takes 0.1 to 0.2 seconds."""
    return Rates(
        flops_per_s={name: _time_products(getattr(torch, name)) for name in DEFAULT_RATES.flops_per_s},
        eigen_flops_per_s=_time_eigenvalues(),
        bytes_per_s=_time_values(),
        fresh_bytes_per_s=_time_fresh_memory(),
        s_per_call=_time_calls(),
        drawn_per_s=_time_draws(),
    )


def take_medians(measured: list[Rates]) -> Rates:
    """Return the median of each rate over processes that measured it at the same time."""
    plain = [rates.model_dump() for rates in measured]
    flops = {name: statistics.median(one["flops_per_s"][name] for one in plain) for name in plain[0]["flops_per_s"]}
    rest = {name: statistics.median(one[name] for one in plain) for name in plain[0] if name != "flops_per_s"}
    return Rates(flops_per_s=flops, **rest)


def _seconds(work: Callable[[], object]) -> float:
    """Return the least processor time of calling `work` in several rounds, in seconds.

    The least, because other load of the machine only adds to it.
    """
    took = []
    for _ in range(ROUNDS + 1):
        start = time.thread_time()
        work()
        took.append(time.thread_time() - start)
    return min(took[1:])


def _time_products(dtype: torch.dtype) -> float:
    """Return the measured operations per second of matrix products in this dtype."""
    rows, width, hidden = 256, 128, 512
    x = torch.randn(rows, width).to(dtype)
    w = torch.randn(hidden, width).to(dtype)
    flops = 2 * rows * width * hidden * (1 + SMALL_PRODUCT / width)
    return 4 * flops / _seconds(lambda: [F.linear(x, w) for _ in range(4)])


def _time_eigenvalues() -> float:
    """Return the measured operations per second of eigenvalues of symmetric matrices."""
    count, size = 4, 128
    x = torch.randn(count, size, size, dtype=torch.float64)
    gram = x @ x.mT
    return count * 4 * size**3 / _seconds(lambda: torch.linalg.eigvalsh(gram))


def _time_values() -> float:
    """Return the measured bytes per second that elementwise operators move."""
    layers = torch.randn(16, 256, 512)  # larger than a core's cache, like the states of a stack

    def run_mixture() -> None:
        """Run a typical mixture of elementwise operators, whose moved bytes are counted below."""
        for x in layers:
            y = x * 0.5
            largest = y.abs().amax(-1, keepdim=True)
            F.gelu(y / largest)
            torch.linalg.vector_norm(y, dim=-1, dtype=torch.float64)

    moved = 10 * layers.numel() * layers.element_size()  # 2 + 2 + 1 + 2 + 2 + 1 passes
    return moved / _seconds(run_mixture)


def _time_fresh_memory() -> float:
    return FRESH_BYTES / _seconds(lambda: torch.empty(FRESH_BYTES // 4).fill_(1.0))


def _time_calls() -> float:
    """Return the measured seconds per operator call, from a chain of tiny operators forward and backward."""
    x, pairs = torch.zeros(2, 2, requires_grad=True), 50

    def run_chain() -> torch.Tensor:
        """Return the sum at the end of a chain of tiny operators."""
        y = x
        for _ in range(pairs):
            y = torch.tanh(y) * 0.5
        return y.sum()

    return _seconds(lambda: torch.autograd.grad(run_chain(), x)) / (2 * pairs * UP_AND_DOWN)


def _time_draws() -> float:
    return 256 * 256 / _seconds(lambda: normal(0, "calibration", 0, 256, 256))
