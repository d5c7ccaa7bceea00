"""Initial parameters of manifold-constrained mixing, one set for each public implementation (docs/equations.md).

Biases b_pre, b_post: (L, n). `certainty` is the difference between the logit of the identity and the others: H_res is
close to the identity for 8, and uniform for 0. Each family converts it into its own logits. `project` draws the
projection phi of one dynamic layer with m residual logits, (n C, 2 n + m).
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import torch

from mhc_core.rng import normal
from mhc_core.spec import RunSpec

NEAR_IDENTITY = 8.0
SURE = 40.0  # sigmoid(40) is 1 in float64

Project = Callable[[int, int], torch.Tensor]


@dataclass(frozen=True)
class InitialMixing:
    """The initial biases of all layers, the function that draws projections, the gates, and the kind of norm."""

    b_pre: torch.Tensor
    b_post: torch.Tensor
    certainty: float
    project: Project
    gate: float = 0.01
    norm_per_stream: bool = False


def build_preset(spec: RunSpec) -> InitialMixing:
    """Return the initial parameters of the mixing for the spec's `init`."""
    return PRESETS[spec.connection.init](spec)


def _one_hot(spec: RunSpec) -> torch.Tensor:
    """Return H_pre (L, n) of layers that each read one stream, in turn."""
    n = spec.connection.streams
    return torch.eye(n)[torch.arange(spec.depth) % n]


def _fill_bias(spec: RunSpec, value: float) -> torch.Tensor:
    """Return a bias (L, n) with one value for all layers and streams."""
    # In float64: otherwise a float64 run would start from a bias rounded to float32.
    return torch.full((spec.depth, spec.connection.streams), value, dtype=torch.float64)


def _draw_projections(spec: RunSpec, std: Callable[[int, int], float]) -> Project:
    """Return a function that draws phi of a layer, (n C, 2 n + logits), from N(0, std(fan_in, fan_out)^2)."""
    n, fan_in = spec.connection.streams, spec.connection.streams * spec.width

    def project(layer: int, logits: int) -> torch.Tensor:
        """Return the initial projection from tokens to the logits of one layer, (n C, 2 n + logits)."""
        fan_out = 2 * n + logits
        return normal(spec.seed, "mixing_phi", layer, fan_in, fan_out) * std(fan_in, fan_out)

    return project


def _zero_projections(spec: RunSpec) -> Project:
    """Return a function that returns a projection phi with all entries 0, (n C, 2 n + logits)."""
    n = spec.connection.streams
    return lambda layer, logits: torch.zeros(n * spec.width, 2 * n + logits)


def _residual(spec: RunSpec) -> InitialMixing:
    """Return the initial mixing with exactly H_pre = 1/n and H_post = 1: with equal streams, the residual network."""
    n = spec.connection.streams
    b_pre = -math.log(n - 1) if n > 1 else SURE
    return InitialMixing(_fill_bias(spec, b_pre), _fill_bias(spec, 0.0), NEAR_IDENTITY, _zero_projections(spec))


def _c_mhc(spec: RunSpec) -> InitialMixing:
    """Return the initial mixing of C-mHC (contactsebi/circulant-hyper-connections, `code/exp_train.py`).

    H_pre and H_res are 1/n, and tokens change logits by about 0.0002: enough for streams to become different.
    """
    draw = _draw_projections(spec, lambda fan_in, _: 0.02 / math.sqrt(fan_in))
    return replace(_residual(spec), certainty=0.0, project=draw)


def _mhc_lite(spec: RunSpec) -> InitialMixing:
    """Return the initial mixing of mHC-lite's code: each layer reads mostly one stream, independent of tokens."""
    turn = 2 * _one_hot(spec) - 1
    return InitialMixing(turn, turn.clone(), NEAR_IDENTITY, _zero_projections(spec))


def _lucidrains(spec: RunSpec) -> InitialMixing:
    return InitialMixing(_one_hot(spec), _fill_bias(spec, 1.0), 1.0, _zero_projections(spec), norm_per_stream=True)


def _megatron(spec: RunSpec) -> InitialMixing:
    """Return the initial mixing of Megatron's code: biases 0, projections with Xavier's standard deviation."""

    def xavier(fan_in: int, fan_out: int) -> float:
        return math.sqrt(2 / (fan_in + fan_out))

    return InitialMixing(_fill_bias(spec, 0.0), _fill_bias(spec, 0.0), 0.0, _draw_projections(spec, xavier))


def _deepseek_v4(spec: RunSpec) -> InitialMixing:
    """Return the initial mixing of DeepSeek-V4's code: biases 0, projections of standard deviation 0.02, gates 1."""
    draw = _draw_projections(spec, lambda *_: 0.02)
    return InitialMixing(_fill_bias(spec, 0.0), _fill_bias(spec, 0.0), 0.0, draw, gate=1.0)


def _hy_v4(spec: RunSpec) -> InitialMixing:
    """Return the initial mixing of HY-V4's code: H_pre = 1/n, H_post = 1, projections of standard deviation 0.006.

    In HY-V4, H_res is the identity and has no logits. Other connections start near the identity.
    """
    return replace(_residual(spec), project=_draw_projections(spec, lambda *_: 0.006))


PRESETS: dict[str, Callable[[RunSpec], InitialMixing]] = {
    "residual": _residual,
    "mhc_lite": _mhc_lite,
    "lucidrains": _lucidrains,
    "megatron": _megatron,
    "deepseek_v4": _deepseek_v4,
    "c_mhc": _c_mhc,
    "hy_v4": _hy_v4,
}


def list_projecting() -> tuple[str, ...]:
    """List the initialisations that draw random projections from tokens to logits. In the others, projections are 0."""
    specs = {name: RunSpec.model_validate({"depth": 1, "connection": {"init": name}}) for name in PRESETS}
    return tuple(name for name, spec in specs.items() if build_preset(spec).project(0, 1).any())
