"""The seven starts of mHC against the numbers of their table (docs/equations.md)."""

import math
from typing import Any

import numpy as np
import pytest
import torch

from mhc_core.layers.manifold import DynamicManifold, DynamicManifoldLayer, StaticManifold
from mhc_core.layers.output import DynamicHead, MeanOutput, StaticHead
from mhc_core.spec import RunSpec
from mhc_core.stack import build_stack
from tests.core.conftest import build_spec, measure

# H_res diagonal, its second eigenvalue, H_pre and H_post of the layer's own stream, of the other streams.
TABLE: dict[str, tuple[float, float, tuple[float, float], tuple[float, float]]] = {
    "residual": (0.99900, 0.99866, (0.25, 0.25), (1.0, 1.0)),
    "mhc_lite": (0.99900, 0.99866, (0.731, 0.269), (1.462, 0.538)),
    "lucidrains": (0.4754, 0.3005, (0.731, 0.5), (1.462, 1.462)),
    "megatron": (0.25, 0.0, (0.5, 0.5), (1.0, 1.0)),
    "deepseek_v4": (0.25, 0.0, (0.5, 0.5), (1.0, 1.0)),
    "c_mhc": (0.25, 0.0, (0.25, 0.25), (1.0, 1.0)),
    "hy_v4": (0.99900, 0.99866, (0.25, 0.25), (1.0, 1.0)),
}

# Of phi, with n C = 4 * 8 and 2 n + n^2 = 24 logits.
SPREADS = {
    "megatron": math.sqrt(2 / (4 * 8 + 24)),
    "deepseek_v4": 0.02,
    "c_mhc": 0.02 / math.sqrt(4 * 8),
    "hy_v4": 0.006,
}


def preset_spec(init: str, **connection: Any) -> RunSpec:
    fields = {"kind": "mhc", "init": init, "streams": 4, "noise": 0.0, **connection}
    return build_spec(depth=6, connection=fields)


@pytest.mark.parametrize("init", TABLE)
def test_a_static_start_has_the_tables_numbers(init: str) -> None:
    diagonal, second, h_pre, h_post = TABLE[init]
    static = build_stack(preset_spec(init)).connection.static_mixing()
    assert static is not None
    for layer in range(6):
        h_res = static.h_res[layer].detach().numpy()
        np.testing.assert_allclose(np.diag(h_res), diagonal, atol=5.1e-5)
        assert np.sort(np.linalg.eigvals(h_res).real)[-2] == pytest.approx(second, abs=5.1e-5)
        for got, (own, other) in ((static.h_pre, h_pre), (static.h_post, h_post)):
            wanted = np.full(4, other)
            wanted[layer % 4] = own
            np.testing.assert_allclose(got[layer].detach().numpy(), wanted, atol=5.1e-4)


@pytest.mark.parametrize("streams", [1, 2, 3, 4, 16])
def test_our_start_reads_the_mean_and_adds_the_branch_exactly(streams: int) -> None:
    static = build_stack(preset_spec("residual", streams=streams)).connection.static_mixing()
    assert static is not None
    np.testing.assert_allclose(static.h_pre.detach().numpy(), 1 / streams, rtol=1e-15)
    np.testing.assert_array_equal(static.h_post.detach().numpy(), 1.0)


def dynamic_connection(init: str) -> DynamicManifold:
    connection = build_stack(preset_spec(init, dynamic=True)).connection
    assert isinstance(connection, DynamicManifold)
    return connection


def mixers_of(connection: DynamicManifold) -> list[DynamicManifoldLayer]:
    return [mixer for mixer in connection.mixers if isinstance(mixer, DynamicManifoldLayer)]


@pytest.mark.parametrize("init", TABLE)
def test_a_dynamic_start_has_the_tables_gate_and_projection(init: str) -> None:
    mixers = mixers_of(dynamic_connection(init))
    assert mixers
    for mixer in mixers:
        np.testing.assert_allclose(mixer.a.detach().numpy(), 1.0 if init == "deepseek_v4" else 0.01, rtol=1e-7)
        std = SPREADS.get(init, 0.0)
        entries = mixer.phi.numel()
        assert mixer.phi.shape == (4 * 8, 4 * 4 + 2 * 4)
        assert mixer.phi.std().item() == pytest.approx(std, rel=4 / (2 * entries) ** 0.5)


@pytest.mark.parametrize("init", TABLE)
def test_without_projection_a_dynamic_start_is_the_static_one(init: str) -> None:
    connection = dynamic_connection(init)
    static = build_stack(preset_spec(init)).connection.static_mixing()
    assert static is not None
    generator = torch.Generator().manual_seed(0)
    for layer in range(6):
        with torch.no_grad():
            mixers_of(connection)[layer].phi.zero_()
        state = torch.randn(5, 4, 8, generator=generator, dtype=torch.float64)
        for got, wanted in zip(connection.dynamic_mixing(layer, state), static, strict=True):
            np.testing.assert_allclose(
                got.detach().numpy(), wanted[layer].detach().expand(got.shape).numpy(), rtol=1e-15
            )


def test_only_lucidrains_norms_each_stream_on_its_own() -> None:
    generator = torch.Generator().manual_seed(0)
    state = torch.randn(5, 4, 8, generator=generator, dtype=torch.float64)
    louder = state * torch.tensor([1.0, 7.0, 0.2, 3.0], dtype=torch.float64)[:, None]
    for init in TABLE:
        connection = dynamic_connection(init)
        with torch.no_grad():
            mixers_of(connection)[0].phi.normal_(generator=generator)
            mixers_of(connection)[0].a.fill_(1.0)
        one, other = (connection.dynamic_mixing(0, x).h_res for x in (state, louder))
        assert torch.allclose(one, other, rtol=1e-12) == (init == "lucidrains")
        # Every norm forgets a scale common to all streams.
        assert torch.allclose(one, connection.dynamic_mixing(0, 1e6 * state).h_res, rtol=1e-12)


def test_only_deepseeks_start_brings_a_learned_head() -> None:
    for init in TABLE:
        static = build_stack(preset_spec(init)).connection
        assert isinstance(static, StaticManifold)
        assert isinstance(static.output, StaticHead if init == "deepseek_v4" else MeanOutput)
        assert isinstance(dynamic_connection(init).output, DynamicHead if init == "deepseek_v4" else MeanOutput)


@pytest.mark.parametrize("init", ["residual", "lucidrains", "megatron"])
def test_identical_streams_leave_h_res_without_a_gradient(init: str) -> None:
    """With rows that sum to 1 exactly, no logit of H_res can change what identical streams carry."""
    spec = preset_spec(init, noise=1.0)
    stack = build_stack(spec)
    stack().backward()
    grad = stack.connection.b_res.grad
    assert isinstance(grad, torch.Tensor)
    assert grad.abs().max() < 1e-15
    assert measure(spec).layers["stream_cos"] == pytest.approx(1, abs=1e-12)
    assert "symmetry" in {finding.key for finding in measure(spec).summary.findings}


def test_a_stream_dependent_start_breaks_the_symmetry() -> None:
    spec = preset_spec("mhc_lite", noise=1.0)
    stack = build_stack(spec)
    stack().backward()
    grad = stack.connection.b_res.grad
    assert isinstance(grad, torch.Tensor)
    assert (grad[1:].flatten(1).abs().amax(1) > 1e-6).all()
    assert "symmetry" not in {finding.key for finding in measure(spec).summary.findings}
