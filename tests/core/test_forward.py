"""The forward pass against the same network written in numpy (reference.py).

`tests/oracles/test_plain_families.py` compares every family, with its gradients, with a second network.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from mhc_core.families import FAMILIES
from mhc_core.layers.connections import Mixing
from mhc_core.spec import RunSpec
from mhc_core.stack import Stack, build_stack
from tests.core.conftest import CONNECTIONS, build_spec, measure, shake
from tests.core.reference import trace


def assert_equal_to_reference(stack: Stack, rtol: float = 1e-11) -> None:
    wanted = trace(stack)
    state, values, static = stack.embed(), None, stack.connection.static_mixing()
    for layer in range(stack.spec.depth):
        mixing = None if static is None else type(static)(*(part[layer] for part in static))
        out = stack.layer(layer, state, mixing, values)
        state, values = out.state, out.values
        shape = wanted.states[layer + 1].shape
        got = stack.connection.streams(state).detach().double().numpy().reshape(shape)
        np.testing.assert_allclose(got, wanted.states[layer + 1], rtol=rtol, atol=rtol, err_msg=f"state {layer}")
        got_u = out.u.detach().double().numpy().reshape(wanted.u[layer].shape)
        np.testing.assert_allclose(got_u, wanted.u[layer], rtol=rtol, atol=rtol, err_msg=f"u {layer}")
    assert stack.loss(state).item() == pytest.approx(wanted.loss, rel=rtol)
    assert stack().item() == pytest.approx(wanted.loss, rel=rtol)


@pytest.mark.parametrize("dynamic", [False, True])
@pytest.mark.parametrize("init", ["residual", "mhc_lite", "lucidrains", "megatron", "deepseek_v4"])
def test_every_preset(init: str, dynamic: bool) -> None:
    connection = {"init": init, "dynamic": dynamic, "sinkhorn_eps": 1e-6, "noise": 1.0}
    assert_equal_to_reference(shake(build_stack(build_spec(connection=connection))))


@pytest.mark.sample(4)
@pytest.mark.parametrize("streams", [1, 2, 3, 8])
@pytest.mark.parametrize("dynamic", [False, True])
@pytest.mark.parametrize("kind", ["hc", "mhc"])
def test_every_number_of_streams(kind: str, dynamic: bool, streams: int) -> None:
    connection = {"kind": kind, "dynamic": dynamic, "streams": streams, "sinkhorn_iters": 5}
    assert_equal_to_reference(shake(build_stack(build_spec(connection=connection))))


@pytest.mark.sample(4)
@pytest.mark.parametrize("streams", [1, 2, 8])
@pytest.mark.parametrize("dynamic", [False, True])
def test_every_number_of_parts(dynamic: bool, streams: int) -> None:
    connection = {"kind": "frac", "dynamic": dynamic, "streams": streams}
    assert_equal_to_reference(shake(build_stack(build_spec(connection=connection))))


SCALINGS = {
    "inv_sqrt_depth": "pre",
    "rezero": "none",
    "skipinit": "none",
    "deepnorm": "post",
    "layernorm_scaling": "pre",
}


@pytest.mark.parametrize("block", ["conv", "pair"])
@pytest.mark.parametrize("scaling", SCALINGS)
def test_every_scaling_of_blocks_on_a_grid(scaling: str, block: str) -> None:
    fields = {"kind": block, "scaling": scaling, "norm_position": SCALINGS[scaling]}
    stack = build_stack(build_spec(depth=5, block=fields, input={"tokens": 9}))
    assert_equal_to_reference(shake(stack))


GRID = {"tokens": 9}
BLOCKS: list[dict[str, Any]] = [
    *({"kind": "mlp", "activation": name} for name in ("relu", "gelu", "tanh", "linear", "silu")),
    {"kind": "mlp", "mlp_ratio": 0, "activation": "relu"},
    {"kind": "mlp", "norm": "layernorm"},
    {"norm": "layernorm", "norm_position": "post"},
    {"heads": 1},
    {"heads": 8, "weights": "xavier"},
    {"weights": "orthogonal"},
    {"value_residual": "fixed"},
    {"kind": "conv", "activation": "relu", "norm": "layernorm"},
    {"kind": "conv", "weights": "orthogonal"},
    {"kind": "pair", "norm": "layernorm"},
    {"kind": "pair", "mlp_ratio": 0, "weights": "xavier"},
]


@pytest.mark.parametrize("block", BLOCKS, ids=repr)
def test_every_block(block: dict[str, Any]) -> None:
    assert_equal_to_reference(build_stack(build_spec(block=block, input=GRID)))


def test_gaussian_input() -> None:
    assert_equal_to_reference(build_stack(build_spec(input={"kind": "gaussian"})))


@pytest.mark.parametrize("unprojected", [{"sinkhorn_iters": 0}, {"sinkhorn_iters": 1}])
def test_few_rounds(unprojected: dict[str, Any]) -> None:
    assert_equal_to_reference(build_stack(build_spec(connection={**unprojected, "noise": 0.5, "init": "megatron"})))


@pytest.mark.sample(9)
@pytest.mark.parametrize("connection", CONNECTIONS.values(), ids=CONNECTIONS)
def test_float32_and_bfloat16_hold_what_they_promise(connection: dict[str, Any]) -> None:
    # 24 and 8 bits; a few roundings a layer.
    exact: Callable[..., RunSpec] = lambda dtype: build_spec(connection=connection, dtype=dtype)  # noqa: E731
    wanted = measure(exact("float64"))
    for dtype, tolerance in (("float32", 2e-6), ("bfloat16", 4e-2)):
        got = measure(exact(dtype))
        for key in ("act_rms", "branch_in_rms", "branch_out_rms", "grad_rms", "param_grad_norm"):
            worst = np.abs(got.layers[key] / wanted.layers[key] - 1).max()
            assert worst < tolerance, (dtype, key, worst)
            assert worst > 0, (dtype, key)
        assert got.loss == pytest.approx(wanted.loss, rel=tolerance)
        if not FAMILIES[connection["kind"]].has_mixing:
            worst = np.abs(got.matrices["unfolded"] - wanted.matrices["unfolded"]).max()
            assert worst < tolerance, (dtype, worst)
            continue
        assert np.abs(got.layers["h_res_row_sum"] - wanted.layers["h_res_row_sum"]).max() < max(2e-6, tolerance / 100)


def test_values_have_the_type_that_was_measured() -> None:
    for dtype, wanted in (("float64", np.float64), ("float32", np.float32), ("bfloat16", np.float32)):
        result = measure(build_spec(dtype=dtype))
        assert result.layers["act_rms"].dtype == wanted
        assert result.matrices["h_res"].dtype == wanted
        assert result.matrices["cka"].dtype == wanted
        assert result.layers["composite_gain_fwd"].dtype == np.float64


@pytest.mark.parametrize("dynamic", [False, True])
@pytest.mark.parametrize("kind", ["hc", "mhc", "frac"])
def test_a_bfloat16_state_is_rounded_once_a_layer(kind: str, dynamic: bool) -> None:
    """Coefficients stay in float32: what is written is the exact sum, rounded."""
    connection = {"kind": kind, "dynamic": dynamic, "noise": 1.0, "init": "deepseek_v4"}
    stack = build_stack(build_spec(depth=1, width=64, dtype="bfloat16", connection=connection))
    parts, generator = stack.connection, torch.Generator().manual_seed(0)
    state = torch.randn(parts.expand(torch.zeros(12, 64)).shape, generator=generator).bfloat16()
    y = torch.randn(12, 64, generator=generator).bfloat16()
    static = parts.static_mixing()
    mixing = parts.dynamic_mixing(0, state) if static is None else Mixing(*(part[0] for part in static))
    assert mixing.h_res.dtype == torch.float32
    x = parts.streams(state).double()
    h_res, h_post, h_pre = (h.detach().double() for h in (mixing.h_res, mixing.h_post, mixing.h_pre))
    y_iNC = y.double().expand(4, -1, -1) if kind != "frac" else y.double().view(12, 4, 16).transpose(0, 1)
    if kind == "frac":
        h_pre, h_res = h_pre.expand(12, 4, 4), h_res.expand(12, 4, 4)
        new = torch.einsum("sij,jsc->isc", h_res, x) + torch.einsum("si,isc->isc", h_post.expand(12, 4), y_iNC)
        u = torch.einsum("sij,jsc->sic", h_pre, x).flatten(1)
    elif dynamic:
        new = torch.einsum("sij,jsc->isc", h_res, x) + torch.einsum("si,sc->isc", h_post, y.double())
        u = torch.einsum("sj,jsc->sc", h_pre, x)
    else:
        new = torch.einsum("ij,jsc->isc", h_res, x) + torch.einsum("i,sc->isc", h_post, y.double())
        u = torch.einsum("j,jsc->sc", h_pre, x)
    for got, exact in ((parts.streams(parts.write(state, y, mixing)), new), (parts.read(state, mixing), u)):
        assert got.dtype == torch.bfloat16
        assert (got == exact.bfloat16()).float().mean() > 0.995
