"""Sound implementations of others, small: transformers' four families and both of `hyper-connections`.

Imported within, as transformers takes seconds.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import nn


class Sound(NamedTuple):
    """A module, what it is checked as, and checks that are designs."""

    build: Callable[[], nn.Module]
    options: dict[str, Any]
    designs: frozenset[str] = frozenset()


STREAMS, WIDTH = 4, 24


def write_transposed(state: torch.Tensor, y: torch.Tensor, returned: Any) -> torch.Tensor:
    """How DeepSeek-V4 and GLM-5-next apply what their connection returns."""
    post, comb = (part.to(state.dtype) for part in returned[:2])
    return post.unsqueeze(-1) * y.unsqueeze(-2) + comb.mT @ state


def write_untransposed(state: torch.Tensor, y: torch.Tensor, returned: Any) -> torch.Tensor:
    """The same with the mistake that ports make."""
    post, comb = (part.to(state.dtype) for part in returned[:2])
    return post.unsqueeze(-1) * y.unsqueeze(-2) + comb @ state


def add_to_streams(state: torch.Tensor, y: torch.Tensor, returned: Any) -> torch.Tensor:
    """How HY-V4 applies what its connection returns."""
    return returned[0].unsqueeze(-1) * y.unsqueeze(-2) + state


def add_to_flat_streams(state: torch.Tensor, y: torch.Tensor, returned: Any) -> torch.Tensor:
    """How Qwen4-Exp applies what its connection returns."""
    _, hyper_input, weights = returned
    return hyper_input + (y.unsqueeze(-2) * weights.unsqueeze(-1)).flatten(-2)


def reduce_to_mean(x: torch.Tensor) -> torch.Tensor:
    """The mean of streams (B, T, n, C)."""
    return x.mean(2)


def draw(module: nn.Module) -> nn.Module:
    """The module with parameters that are not what memory held; one-dimensional norms start at zero or one."""
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.copy_(0.1 * torch.randn(parameter.shape, generator=generator))
    return module


def build_deepseek_v4() -> nn.Module:
    from transformers.models.deepseek_v4.configuration_deepseek_v4 import DeepseekV4Config
    from transformers.models.deepseek_v4.modeling_deepseek_v4 import DeepseekV4HyperConnection

    return draw(DeepseekV4HyperConnection(DeepseekV4Config(hidden_size=WIDTH, hc_mult=STREAMS, num_hidden_layers=1)))


def build_glm5_next() -> nn.Module:
    from transformers.models.glm5_next.configuration_glm5_next import Glm5NextTextConfig
    from transformers.models.glm5_next.modeling_glm5_next import Glm5NextTextHyperConnection

    return draw(Glm5NextTextHyperConnection(Glm5NextTextConfig(hidden_size=WIDTH, hc_mult=STREAMS)))


def build_hy_v4() -> nn.Module:
    from transformers.models.hy_v4.configuration_hy_v4 import HYV4Config
    from transformers.models.hy_v4.modeling_hy_v4 import HYV4HyperConnection

    return draw(HYV4HyperConnection(HYV4Config(hidden_size=WIDTH, hc_mult=STREAMS)))


def build_qwen4_exp() -> nn.Module:
    from transformers.models.qwen4_exp.configuration_qwen4_exp import Qwen4ExpTextConfig
    from transformers.models.qwen4_exp.modeling_qwen4_exp import Qwen4ExpTextGatedResidual

    return draw(Qwen4ExpTextGatedResidual(Qwen4ExpTextConfig(hidden_size=WIDTH, hc_count=STREAMS, hc_lowrank=6)))


def build_hc() -> nn.Module:
    from hyper_connections import HyperConnections

    built: nn.Module = HyperConnections(STREAMS, dim=WIDTH, layer_index=1)
    return built


def build_mhc() -> nn.Module:
    from hyper_connections.manifold_constrained_hyper_connections import ManifoldConstrainedHyperConnections

    built: nn.Module = ManifoldConstrainedHyperConnections(STREAMS, dim=WIDTH, layer_index=1)
    return built


SOUND: dict[str, Sound] = {
    "DeepSeek-V4": Sound(build_deepseek_v4, {"write": write_transposed}),
    "DeepSeek-V4, coefficients alone": Sound(build_deepseek_v4, {}),
    "GLM-5-next": Sound(build_glm5_next, {"write": write_transposed, "output": "mean", "reduce": lambda x: x.mean(2)}),
    "HY-V4": Sound(build_hy_v4, {"family": "identity_hc", "write": add_to_streams}),
    "Qwen4-Exp": Sound(build_qwen4_exp, {"family": "gated", "write": add_to_flat_streams}),
    "lucidrains' HC": Sound(build_hc, {"family": "hc"}),
    "lucidrains' mHC": Sound(build_mhc, {}, frozenset({"orientation", "order", "logits"})),
}
