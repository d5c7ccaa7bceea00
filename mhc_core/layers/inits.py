"""How manifold-constrained mixing starts, by public implementation (docs/equations.md).

Biases b_pre, b_post: (L, n). `certainty` is by how much the logit that keeps streams apart exceeds the others: 8 is
close to the identity, 0 the uniform matrix; each family turns it into logits of its own. `project` draws phi of one
dynamic layer for m residual logits, (n C, 2 n + m).
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
    """Biases of all layers, the projection's draw, the gates, and what is particular to the implementation."""

    b_pre: torch.Tensor
    b_post: torch.Tensor
    certainty: float
    project: Project
    gate: float = 0.01
    norm_per_stream: bool = False


def build_preset(spec: RunSpec) -> InitialMixing:
    """Return the initial parameters of the mixing that the spec's `init` names."""
    return PRESETS[spec.connection.init](spec)


def _one_hot(spec: RunSpec) -> torch.Tensor:
    """Return H_pre (L, n) of layers that each read one stream, in turn."""
    n = spec.connection.streams
    return torch.eye(n)[torch.arange(spec.depth) % n]


def _fill_bias(spec: RunSpec, value: float) -> torch.Tensor:
    """Return a bias (L, n) with one value for all layers and streams."""
    # In float64, or a float64 run would start from a bias rounded to float32.
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
    """Return a function that makes the projection phi of a layer, (n C, 2 n + logits), with all entries 0."""
    n = spec.connection.streams
    return lambda layer, logits: torch.zeros(n * spec.width, 2 * n + logits)


def _residual(spec: RunSpec) -> InitialMixing:
    """Return initial mixing with H_pre = 1/n and H_post = 1 exactly: equal streams give the residual network."""
    n = spec.connection.streams
    b_pre = -math.log(n - 1) if n > 1 else SURE
    return InitialMixing(_fill_bias(spec, b_pre), _fill_bias(spec, 0.0), NEAR_IDENTITY, _zero_projections(spec))


def _c_mhc(spec: RunSpec) -> InitialMixing:
    """Return the initial mixing of C-mHC (contactsebi/circulant-hyper-connections, `code/exp_train.py`).

    Weights are 1/n, and tokens move logits by 0.0002: enough to let streams differ.
    """
    draw = _draw_projections(spec, lambda fan_in, _: 0.02 / math.sqrt(fan_in))
    return replace(_residual(spec), certainty=0.0, project=draw)


def _mhc_lite(spec: RunSpec) -> InitialMixing:
    """Return the initial mixing as in mHC-lite's code: each layer reads mostly one stream, whatever the tokens."""
    turn = 2 * _one_hot(spec) - 1
    return InitialMixing(turn, turn.clone(), NEAR_IDENTITY, _zero_projections(spec))


def _lucidrains(spec: RunSpec) -> InitialMixing:
    return InitialMixing(_one_hot(spec), _fill_bias(spec, 1.0), 1.0, _zero_projections(spec), norm_per_stream=True)


def _megatron(spec: RunSpec) -> InitialMixing:
    """Return the initial mixing as in Megatron's code: biases of 0 and projections with Xavier's standard deviation."""

    def xavier(fan_in: int, fan_out: int) -> float:
        return math.sqrt(2 / (fan_in + fan_out))

    return InitialMixing(_fill_bias(spec, 0.0), _fill_bias(spec, 0.0), 0.0, _draw_projections(spec, xavier))


def _deepseek_v4(spec: RunSpec) -> InitialMixing:
    """Return the initial mixing as in DeepSeek-V4's code: biases 0, projections of standard deviation 0.02, gates 1."""
    draw = _draw_projections(spec, lambda *_: 0.02)
    return InitialMixing(_fill_bias(spec, 0.0), _fill_bias(spec, 0.0), 0.0, draw, gate=1.0)


def _hy_v4(spec: RunSpec) -> InitialMixing:
    """Return the initial mixing as in HY-V4's code: 1/n and 1, and projections of standard deviation 0.006.

    HY-V4 has no logits of H_res, which is the identity: other connections start near it.
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
    """List the initialisations that draw random projections of tokens; in the others these are 0."""
    specs = {name: RunSpec.model_validate({"depth": 1, "connection": {"init": name}}) for name in PRESETS}
    return tuple(name for name, spec in specs.items() if build_preset(spec).project(0, 1).any())
