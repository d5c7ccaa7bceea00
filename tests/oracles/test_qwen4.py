"""Gated Residual against `Qwen4ExpTextGatedResidual` of transformers, weights copied: one layer, and a small stack.

Branches are linear maps and tanh in both, so that nothing but the joining is compared. Their norm has a learned gain,
which starts at 1 and is left there.
"""

from __future__ import annotations

from typing import Any

import pytest
import torch

from mhc_core.layers.connections import build_connection
from mhc_core.spec import parse_spec
from tests.oracles.conftest import draw

pytestmark = pytest.mark.full

WIDTH, BATCH, TOKENS = 12, 2, 5


def build_theirs(streams: int, rank: int, *, is_head: bool) -> Any:
    from transformers.models.qwen4_exp.configuration_qwen4_exp import Qwen4ExpTextConfig
    from transformers.models.qwen4_exp.modeling_qwen4_exp import Qwen4ExpTextGatedResidual

    config = Qwen4ExpTextConfig(hidden_size=WIDTH, hc_count=streams, hc_lowrank=rank, rms_norm_eps=1e-20)
    return Qwen4ExpTextGatedResidual(config, use_combine=not is_head)


def build_ours(streams: int, rank: int, layers: int, dtype: torch.dtype) -> Any:
    fields = {"kind": "gated", "streams": streams, "gate_rank": rank}
    name = "float64" if dtype == torch.float64 else "float32"
    spec = parse_spec({"depth": layers, "width": WIDTH, "dtype": name, "block": {"heads": 1}, "connection": fields})
    connection: Any = build_connection(spec).to(dtype)
    with torch.no_grad():
        for index, parameter in enumerate(connection.parameters()):
            parameter.copy_(draw(100 + index, *parameter.shape) * 0.6)
    return connection


def copy_weights(theirs: Any, ours: Any) -> Any:
    theirs.to(ours.w_down.dtype)
    theirs.input_mix_weight_down.weight.data = ours.w_down.detach().clone()
    theirs.input_mix_weight_up.weight.data = ours.w_up.detach().clone()
    if theirs.block_inject_weight is not None:
        theirs.block_inject_weight.weight.data = ours.w_post.detach().clone()
    return theirs


@pytest.mark.parametrize(("streams", "rank"), [(2, 3), (4, 8)])
@pytest.mark.parametrize(("dtype", "most"), [(torch.float32, 1e-6), (torch.float64, 1e-13)])
def test_a_stack_reads_writes_and_ends_as_that_of_qwen4(
    streams: int, rank: int, dtype: torch.dtype, most: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    if dtype == torch.float64:  # their norm casts by `.float()`
        monkeypatch.setattr(torch.Tensor, "float", torch.Tensor.double)
    layers = 3
    connection = build_ours(streams, rank, layers, dtype)
    weights = [draw(10 + layer, WIDTH, WIDTH).to(dtype) for layer in range(layers)]
    x = draw(1, BATCH, TOKENS, WIDTH).to(dtype)

    state, own = x.repeat(1, 1, streams), connection.expand(x.flatten(0, 1))
    for layer, weight in enumerate(weights):
        theirs = copy_weights(build_theirs(streams, rank, is_head=False), connection.mixers[layer])
        read, passed, shares = theirs(state)
        state = passed + (torch.tanh(read @ weight.T).unsqueeze(-2) * shares.unsqueeze(-1)).flatten(-2)
        made = connection.dynamic_mixing(layer, own)
        u = connection.read(own, made)
        assert_close(u.view_as(read), read, most)
        assert_close(made.h_post.view_as(shares), shares, most)
        own = connection.write(own, torch.tanh(u @ weight.T), made)
        assert_close(own.flatten(1).view_as(state), state, most)
    head = copy_weights(build_theirs(streams, rank, is_head=True), connection.output.gates)
    found = connection.reduce(own)
    assert_close(found.view_as(x), head(state), most)
    # Not by chance: another layer's gates read something else.
    other = connection.read(own, connection.dynamic_mixing(0, own))
    assert float((other - found).detach().abs().max()) > 1e-3


def assert_close(ours: torch.Tensor, theirs: torch.Tensor, most: float) -> None:
    assert float((ours - theirs).detach().abs().max() / theirs.detach().abs().max()) < most


def test_gradients_are_those_of_qwen4() -> None:
    connection = build_ours(4, 8, 1, torch.float32)
    mixer = connection.mixers[0]
    theirs = copy_weights(build_theirs(4, 8, is_head=False), mixer)
    x = draw(2, 6, 4, WIDTH).float().requires_grad_()
    read, _, shares = theirs(x.flatten(1))
    made = mixer.mix(x)
    wanted = torch.autograd.grad(
        read.square().sum() + (shares * draw(3, 6, 4).float()).sum(),
        [x, *(w for w in theirs.parameters())],
        allow_unused=True,
    )
    ours = torch.autograd.grad(
        connection.read(x, made).square().sum() + (made.h_post * draw(3, 6, 4).float()).sum(),
        [x, mixer.w_down, mixer.w_up, mixer.w_post],
    )
    names = ["x", *(name for name, _ in theirs.named_parameters())]
    of_theirs = dict(zip(names, wanted, strict=True))
    order = ["x", "input_mix_weight_down.weight", "input_mix_weight_up.weight", "block_inject_weight.weight"]
    for name, gradient in zip(order, ours, strict=True):
        assert_close(gradient, of_theirs[name], 3e-6)
