"""Specs and runs small enough to check by hand: four layers of eight features, two sequences of six tokens, float64."""

from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache
from typing import Any, TypeVar

import torch

from mhc_core.families import FAMILIES
from mhc_core.family import Family
from mhc_core.layers.connections import build_connection
from mhc_core.measure.run import run
from mhc_core.record.frames import AnyFrame, StepFrame
from mhc_core.record.result import Result
from mhc_core.record.values import LayerStatus
from mhc_core.spec import RunSpec, parse_spec
from mhc_core.stack import Stack

T = TypeVar("T")
K = TypeVar("K")

SMALL: dict[str, Any] = {
    "depth": 4,
    "width": 8,
    "dtype": "float64",
    "device": "cpu",
    "block": {"heads": 2, "mlp_ratio": 2},
    "input": {"batch": 2, "tokens": 6},
}


def _list_connections() -> Iterator[tuple[str, dict[str, Any]]]:
    for kind, family in FAMILIES.items():
        if family.always_by_token:
            yield f"{kind}-dynamic", {"kind": kind}
            continue
        yield kind, {"kind": kind} | ({"init": "mhc_lite"} if family.is_mapped else {})
        if family.by_token:
            init = "deepseek_v4" if family.iterates else "megatron"
            yield f"{kind}-dynamic", {"kind": kind, "dynamic": True} | ({"init": init} if family.is_mapped else {})


# Every way of joining layers, by a name that a failing test can show.
CONNECTIONS = dict(_list_connections())


def draw_h_res(spec: RunSpec) -> torch.Tensor:
    """H_res of every layer as initialised, (L, n, n): static, or that of one drawn state where it depends on tokens."""
    connection = build_connection(spec)
    static = connection.static_mixing()
    if static is not None:
        return static.h_res.detach().double()
    drawn = torch.randn(1, spec.width, generator=torch.Generator().manual_seed(1), dtype=connection.coefficient_dtype)
    state = connection.to(drawn.dtype).expand(drawn)
    return torch.stack([connection.dynamic_mixing(layer, state).h_res[0] for layer in range(spec.depth)]).double()


def select_connections(fits: Callable[[Family], bool]) -> list[str]:
    """Names of the connections whose family fits."""
    return [name for name, connection in CONNECTIONS.items() if fits(FAMILIES[connection["kind"]])]


MULTI_STREAM = select_connections(lambda family: family.has_streams)
MIXED = select_connections(lambda family: family.has_mixing)
PARTS = select_connections(lambda family: family.streams == "parts")


def build_spec(base: dict[str, Any] = SMALL, **fields: Any) -> RunSpec:
    """A spec from `base`, with whole fields or fields of a part replaced: `build_spec(depth=3, block={"heads": 1})`."""
    merged = dict(base)
    for name, value in fields.items():
        merged[name] = {**merged.get(name, {}), **value} if isinstance(value, dict) else value
    return parse_spec(merged)


def require(value: T | None) -> T:
    """A value that must be there."""
    assert value is not None
    return value


def find_one(frames: Iterable[AnyFrame], kind: type[K]) -> K:
    """The one frame of this kind."""
    (frame,) = [frame for frame in frames if isinstance(frame, kind)]
    return frame


def by_layer(frame: StepFrame, key: str) -> LayerStatus:
    """Which layers of a step's column have a status, and which."""
    status = frame.status[key]
    assert isinstance(status, dict)
    return status


def collect(frames: list[AnyFrame]) -> Result:
    """The result that frames add up to."""
    result = Result()
    for frame in frames:
        result.add(frame)
    return result


@lru_cache(maxsize=64)
def run_frames(spec: RunSpec) -> tuple[AnyFrame, ...]:
    """All frames of a spec; computed once a session, so tests must not change them."""
    return tuple(run(spec))


@lru_cache(maxsize=256)  # small ones are asked for in many files
def measure(spec: RunSpec) -> Result:
    """The result of a spec; computed once a session."""
    return collect(list(run_frames(spec)))


def shake(stack: Stack) -> Stack:
    """Move every mixing parameter and learned scalar off its start, so that no zero and no symmetry hides a fault."""
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        scalars = [parameter for parameter in stack.branches.parameters() if parameter.ndim < 2]
        for parameter in [*stack.connection.parameters(), *scalars]:
            parameter.add_(0.2 * torch.randn(parameter.shape, generator=generator, dtype=parameter.dtype))
    return stack
