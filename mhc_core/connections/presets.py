"""How mHC's mixing starts, by public implementation (equations section 3).

Logits: b_pre, b_post (L, n), b_res (L, n, n). `project` draws phi of one dynamic layer, (n C, n^2 + 2 n).
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch

from mhc_core.rng import normal
from mhc_core.spec import RunSpec

OFF_DIAGONAL = -8.0
CERTAIN = 40.0  # sigmoid(40) is 1 in float64


@dataclass(frozen=True)
class Preset:
    """Biases of all layers, the projection's draw, the gates, and what is particular to the implementation."""

    b_pre: torch.Tensor
    b_post: torch.Tensor
    b_res: torch.Tensor
    project: Callable[[int], torch.Tensor]
    gate: float = 0.01
    norm_per_stream: bool = False
    learned_head: bool = False


def build_preset(spec: RunSpec) -> Preset:
    """The preset that the spec names."""
    return PRESETS[spec.connection.init](spec)


def _near_identity(spec: RunSpec) -> torch.Tensor:
    n = spec.connection.streams
    return (OFF_DIAGONAL * (1 - torch.eye(n))).repeat(spec.depth, 1, 1)


def _one_hot(spec: RunSpec) -> torch.Tensor:
    n = spec.connection.streams
    return torch.eye(n)[torch.arange(spec.depth) % n]


def _constant(spec: RunSpec, value: float) -> torch.Tensor:
    # In float64, or a float64 run would start from a bias rounded to float32.
    return torch.full((spec.depth, spec.connection.streams), value, dtype=torch.float64)


def _projection(spec: RunSpec, std: Callable[[int, int], float]) -> Callable[[int], torch.Tensor]:
    n = spec.connection.streams
    fan_in, fan_out = n * spec.width, n * n + 2 * n
    return lambda layer: normal(spec.seed, "mixing_phi", layer, fan_in, fan_out) * std(fan_in, fan_out)


def _zero_projection(spec: RunSpec) -> Callable[[int], torch.Tensor]:
    n = spec.connection.streams
    return lambda layer: torch.zeros(n * spec.width, n * n + 2 * n)


def _residual(spec: RunSpec) -> Preset:
    """Ours: H_pre = 1/n and H_post = 1 exactly, so that identical streams give the plain residual network."""
    n = spec.connection.streams
    b_pre = -math.log(n - 1) if n > 1 else CERTAIN
    return Preset(_constant(spec, b_pre), _constant(spec, 0.0), _near_identity(spec), _zero_projection(spec))


def _mhc_lite(spec: RunSpec) -> Preset:
    turn = 2 * _one_hot(spec) - 1
    return Preset(turn, turn.clone(), _near_identity(spec), _zero_projection(spec))


def _lucidrains(spec: RunSpec) -> Preset:
    eye = torch.eye(spec.connection.streams).repeat(spec.depth, 1, 1)
    return Preset(_one_hot(spec), _constant(spec, 1.0), eye, _zero_projection(spec), norm_per_stream=True)


def _uniform(spec: RunSpec) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    n = spec.connection.streams
    return _constant(spec, 0.0), _constant(spec, 0.0), torch.zeros(spec.depth, n, n)


def _megatron(spec: RunSpec) -> Preset:
    def xavier(fan_in: int, fan_out: int) -> float:
        return math.sqrt(2 / (fan_in + fan_out))

    return Preset(*_uniform(spec), _projection(spec, xavier))


def _deepseek_v4(spec: RunSpec) -> Preset:
    return Preset(*_uniform(spec), _projection(spec, lambda *_: 0.02), gate=1.0, learned_head=True)


PRESETS: dict[str, Callable[[RunSpec], Preset]] = {
    "residual": _residual,
    "mhc_lite": _mhc_lite,
    "lucidrains": _lucidrains,
    "megatron": _megatron,
    "deepseek_v4": _deepseek_v4,
}
