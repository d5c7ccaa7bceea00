"""Our dynamic mHC against `DeepseekV4HyperConnection` and `DeepseekV4HyperHead` of transformers, weights copied.

DeepSeek-V4's form: eps 1e-6 in the norm, in every sum and on H_pre, and comb applied transposed. Ours holds H_res
itself, so that its logits are the transposed ones of theirs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import torch

from mhc_core.layers.connection import Mixing
from mhc_core.layers.connections import build_connection
from mhc_core.layers.manifold import DynamicManifold, DynamicManifoldLayer
from mhc_core.layers.output import DynamicHead
from mhc_core.spec import parse_spec
from tests.oracles.conftest import draw

pytestmark = pytest.mark.full

if TYPE_CHECKING:
    from transformers.models.deepseek_v4.modeling_deepseek_v4 import DeepseekV4HyperConnection, DeepseekV4HyperHead

EPS = 1e-6
SIZES = [(2, 8, 0), (3, 5, 1), (4, 16, 2), (4, 64, 3), (8, 12, 4)]


@pytest.fixture
def in_double(monkeypatch: pytest.MonkeyPatch) -> None:
    """Their modules cast to float32 by `.float()`; let it mean double, and only the rounding goes."""
    monkeypatch.setattr(torch.Tensor, "float", torch.Tensor.double)


def theirs(n: int, width: int, seed: int, dtype: torch.dtype) -> tuple[DeepseekV4HyperConnection, DeepseekV4HyperHead]:
    # Here, not above: every lane of the tests imports this module, and transformers takes four seconds.
    from transformers.models.deepseek_v4.configuration_deepseek_v4 import DeepseekV4Config
    from transformers.models.deepseek_v4.modeling_deepseek_v4 import DeepseekV4HyperConnection, DeepseekV4HyperHead

    config = DeepseekV4Config(
        hidden_size=width, hc_mult=n, hc_sinkhorn_iters=20, hc_eps=EPS, rms_norm_eps=EPS, num_hidden_layers=1
    )
    layer, head = DeepseekV4HyperConnection(config).to(dtype), DeepseekV4HyperHead(config).to(dtype)
    with torch.no_grad():
        for k, parameter in enumerate([*layer.parameters(), *head.parameters()]):
            parameter.copy_(0.3 * draw(100 * seed + k, *parameter.shape))
    return layer, head


def ours(n: int, width: int, dtype: torch.dtype) -> tuple[DynamicManifoldLayer, DynamicHead]:
    name = "float64" if dtype == torch.float64 else "float32"
    spec = parse_spec(
        {
            "depth": 1,
            "width": width,
            "dtype": name,
            "block": {"kind": "mlp"},
            "connection": {"streams": n, "dynamic": True, "init": "deepseek_v4", "sinkhorn_eps": EPS, "noise": 0.0},
        }
    )
    connection = build_connection(spec).to(dtype)
    assert isinstance(connection, DynamicManifold)
    layer, head = connection.mixers[0], connection.output
    assert isinstance(layer, DynamicManifoldLayer)
    assert isinstance(head, DynamicHead)
    layer.norm_eps = head.norm_eps = EPS
    return layer, head


def transposed(n: int) -> torch.Tensor:
    """Where each of our logits stands among theirs: pre and post alike, res transposed."""
    return torch.cat([torch.arange(2 * n), 2 * n + torch.arange(n * n).view(n, n).T.flatten()])


def copy_weights(
    layer: DynamicManifoldLayer,
    head: DynamicHead,
    from_layer: DeepseekV4HyperConnection,
    from_head: DeepseekV4HyperHead,
) -> None:
    n = len(layer.b_pre)
    with torch.no_grad():
        layer.phi.copy_(from_layer.fn[transposed(n)].T)
        base = from_layer.base[transposed(n)]
        layer.b_pre.copy_(base[:n])
        layer.b_post.copy_(base[n : 2 * n])
        layer.b_res.copy_(base[2 * n :].view(-1))
        layer.a.copy_(from_layer.scale)
        head.phi.copy_(from_head.hc_fn.T)
        head.b.copy_(from_head.hc_base)
        head.a.copy_(from_head.hc_scale[0])


def their_layer(
    layer: DeepseekV4HyperConnection, x: torch.Tensor, y: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Branch input and next state, put together as `DeepseekV4DecoderLayer.forward` does."""
    post, comb, collapsed = layer(x)
    return collapsed, post.unsqueeze(-1) * y.unsqueeze(-2) + torch.matmul(comb.transpose(-1, -2), x)


def our_layer(layer: DynamicManifoldLayer, x: torch.Tensor, y: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    batch, tokens, n, width = x.shape
    mixing: Mixing = layer(x.reshape(-1, n, width))
    flat = x.reshape(-1, n, width)
    u = (mixing.h_pre.unsqueeze(-1) * flat).sum(1)
    new = mixing.h_res @ flat + mixing.h_post.unsqueeze(-1) * y.reshape(-1, 1, width)
    return u.view(batch, tokens, width), new.view(x.shape)


def difference(one: torch.Tensor, other: torch.Tensor) -> float:
    """Largest difference, relative to the largest entry."""
    return ((one - other).abs().max() / other.abs().max()).item()


def compare(n: int, width: int, seed: int, dtype: torch.dtype) -> dict[str, float]:
    """Differences of outputs and of gradients."""
    their, their_head = theirs(n, width, seed, dtype)
    our, our_head = ours(n, width, dtype)
    copy_weights(our, our_head, their, their_head)
    x, y = draw(seed, 2, 3, n, width, dtype=dtype), draw(seed + 50, 2, 3, width, dtype=dtype)
    x_theirs, x_ours = x.clone().requires_grad_(), x.clone().requires_grad_()
    y_theirs, y_ours = y.clone().requires_grad_(), y.clone().requires_grad_()
    u_theirs, new_theirs = their_layer(their, x_theirs, y_theirs)
    u_ours, new_ours = our_layer(our, x_ours, y_ours)
    out_theirs = their_head(new_theirs)
    out_ours = our_head(new_ours.reshape(-1, n, width).transpose(0, 1)).view(out_theirs.shape)
    weight_u, weight_out = draw(seed + 60, *u_ours.shape, dtype=dtype), draw(seed + 70, *out_ours.shape, dtype=dtype)
    for u, out in ((u_theirs, out_theirs), (u_ours, out_ours)):
        ((u * weight_u).sum() + (out * weight_out).sum()).backward()
    order = transposed(n)

    def grad(tensor: torch.Tensor) -> torch.Tensor:
        assert tensor.grad is not None
        return tensor.grad

    our_base = torch.cat([grad(our.b_pre), grad(our.b_post), grad(our.b_res).flatten()])
    return {
        "u": difference(u_ours, u_theirs),
        "state": difference(new_ours, new_theirs),
        "head": difference(out_ours, out_theirs),
        "grad x": difference(grad(x_ours), grad(x_theirs)),
        "grad y": difference(grad(y_ours), grad(y_theirs)),
        "grad phi": difference(grad(our.phi), grad(their.fn)[order].T),
        "grad base": difference(our_base, grad(their.base)[order]),
        "grad gates": difference(grad(our.a), grad(their.scale)),
        "grad head phi": difference(grad(our_head.phi), grad(their_head.hc_fn).T),
        "grad head base": difference(grad(our_head.b), grad(their_head.hc_base)),
        "grad head gate": difference(grad(our_head.a), grad(their_head.hc_scale)[0]),
    }


@pytest.mark.usefixtures("in_double")
@pytest.mark.parametrize(("n", "width", "seed"), SIZES)
def test_the_same_function_in_float64(n: int, width: int, seed: int) -> None:
    found = compare(n, width, seed, torch.float64)
    assert max(found.values()) < 1e-12, found


@pytest.mark.parametrize(("n", "width", "seed"), SIZES)
def test_the_same_numbers_in_float32(n: int, width: int, seed: int) -> None:
    # As users run it: gradients sum many float32 terms in another order.
    found = compare(n, width, seed, torch.float32)
    outputs = [found[key] for key in ("u", "state", "head")]
    assert max(outputs) < 1e-6, found
    assert max(found.values()) < 2e-5, found
