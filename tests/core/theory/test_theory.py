"""Known laws of signals at initialisation, held against whole runs. Bands come from the spread over seeds."""

import math
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch

from mhc_core.layers.connections import Mixing
from mhc_core.record.result import Result
from mhc_core.stack import build_stack
from mhc_core.theory.backward import Backward
from mhc_core.theory.forward import Forward
from mhc_core.theory.laws import predict
from mhc_core.theory.premises import describe_network
from tests.core.conftest import build_spec, measure

SEEDS = range(6)
WIDE: dict[str, Any] = {
    "width": 256,
    "depth": 20,
    "dtype": "float32",
    "device": "cpu",
    "input": {"kind": "gaussian", "batch": 2, "tokens": 16},
}
PLAIN = {"kind": "none"}
RESIDUAL = {"kind": "residual"}


def runs(**fields: Any) -> list[Result]:
    return [measure(build_spec(WIDE, seed=seed, **fields)) for seed in SEEDS]


def assert_mean_near(samples: np.ndarray, wanted: np.ndarray | float, least: float) -> None:
    """The mean over seeds (axis 0) is within four standard errors, or within `least` of a finite-width effect."""
    error = samples.std(0, ddof=1) / len(samples) ** 0.5
    miss = np.abs(samples.mean(0) - wanted)
    assert (miss < 4 * error + least).all(), (miss, error)


def one_matrix(activation: str, position: str, **more: Any) -> dict[str, Any]:
    """F(u) = activation(W u)."""
    return {"kind": "mlp", "mlp_ratio": 0, "activation": activation, "norm_position": position, **more}


def test_relu_layers_pull_tokens_together_by_the_arc_cosine_map() -> None:
    """c' = (sqrt(1 - c^2) + c (pi - arccos c)) / pi, from 0."""
    found = runs(connection=PLAIN, block=one_matrix("relu", "none"))
    cosines = np.array([result.layers["token_cos"] for result in found])
    c, wanted = 0.0, []
    for _ in range(20):
        c = (math.sqrt(1 - c * c) + c * (math.pi - math.acos(c))) / math.pi
        wanted.append(c)
    for depth, value in ((1, 0.31830989), (2, 0.49373109), (3, 0.60482572), (5, 0.73594635), (10, 0.87153552)):
        assert wanted[depth - 1] == pytest.approx(value, abs=5e-9)
    assert_mean_near(cosines, np.array(wanted), least=0.01)


@pytest.mark.full
def test_relu_layers_with_he_weights_keep_their_size_in_the_mean() -> None:
    """E ||x_l||^2 is constant; log ||x_l||^2 wanders with mean -5 l / (2 C) and variance 5 l / C."""
    found = runs(connection=PLAIN, block=one_matrix("relu", "none"))
    log_square = 2 * np.log(np.array([result.layers["act_rms"] for result in found]))
    start = 2 * np.log([[result.input["act_rms"]] for result in found])
    depth = np.arange(1, 21)
    sigma = np.sqrt(5 * depth / 256)
    wander = log_square - start
    assert (np.abs(wander + 5 * depth / 512) < 4 * sigma).all()
    assert np.abs(wander.mean(0) + 5 * depth / 512).max() < 4 * sigma.max() / len(SEEDS) ** 0.5


def test_pre_norm_residual_layers_add_one_unit_of_variance_each() -> None:
    found = runs(connection=RESIDUAL, block=one_matrix("linear", "pre", weights="orthogonal"))
    variance = np.array([result.layers["act_rms"] ** 2 for result in found])
    assert_mean_near(variance / np.arange(2, 22), 1.0, least=0.01)
    assert found[0].summary.findings[1].numbers["power_of_depth"] == pytest.approx(0.5, abs=0.05)


@pytest.mark.full
def test_a_stack_of_mlps_grows_as_the_square_root_of_its_depth() -> None:
    result = measure(build_spec(WIDE, connection=RESIDUAL, depth=64, block={"kind": "mlp", "activation": "relu"}))
    growth = result.layers["act_rms"][-1] / result.layers["act_rms"][15]
    assert growth == pytest.approx(math.sqrt(65 / 17), rel=0.08)


@pytest.mark.full
@pytest.mark.parametrize("scale", [0.5, 2.0])
def test_a_branch_scale_adds_its_square(scale: float) -> None:
    found = runs(connection=RESIDUAL, block=one_matrix("linear", "pre", weights="orthogonal", branch_scale=scale))
    variance = np.array([result.layers["act_rms"] ** 2 for result in found])
    assert_mean_near(variance / (1 + scale**2 * np.arange(1, 21)), 1.0, least=0.01)


@pytest.mark.full
def test_without_norm_every_residual_layer_doubles_the_variance() -> None:
    found = runs(connection=RESIDUAL, block=one_matrix("linear", "none", weights="orthogonal"))
    per_layer = np.array([np.diff(np.log2(result.layers["act_rms"] ** 2)) for result in found])
    assert_mean_near(per_layer.mean(1), 1.0, least=0.005)


def test_post_norm_keeps_every_state_at_unit_size() -> None:
    for norm in ("rmsnorm", "layernorm"):
        result = measure(build_spec(connection={"kind": "hc"}, block={"norm_position": "post", "norm": norm}))
        np.testing.assert_allclose(result.layers["act_rms_streams"], 1, rtol=1e-12)


def test_an_orthogonal_linear_stack_keeps_sizes_and_angles() -> None:
    block = one_matrix("linear", "none", weights="orthogonal")
    result = measure(build_spec(WIDE, connection=PLAIN, block=block, dtype="float64"))
    np.testing.assert_allclose(result.layers["act_rms"], result.input["act_rms"], rtol=1e-6)
    np.testing.assert_allclose(result.layers["token_cos"], result.input["token_cos"], atol=1e-6)
    np.testing.assert_allclose(result.matrices["cka"], 1, atol=1e-6)
    np.testing.assert_allclose(result.layers["grad_rms"], result.input["grad_rms"], rtol=1e-6)


@pytest.mark.sample(3)
@pytest.mark.parametrize(("streams", "rate"), [(2, 0.05797), (4, 0.55797), (8, 0.97463)])
def test_free_mixing_far_from_the_identity_grows_as_gaussian_products_do(streams: int, rate: float) -> None:
    """(ln 2 + psi(n / 2)) / 2 a layer, plus ln sigma: 0.05797, 0.55797 and 0.97463 for n = 2, 4, 8."""
    sigma, depth = 10.0, 500
    connection = {"kind": "hc", "streams": streams, "noise": sigma}
    result = measure(build_spec(depth=depth, width=8, connection=connection, block={"kind": "mlp"}))
    slope = result.layers_log10["composite_gain_fwd"][-1] * math.log(10) / depth
    spread = math.sqrt(float(torch.polygamma(1, torch.tensor(streams / 2.0))) / 4 / depth)
    assert slope == pytest.approx(rate + math.log(sigma), abs=4 * spread + 0.01)


@pytest.mark.parametrize("dynamic", [False, True])
@pytest.mark.parametrize("init", ["lucidrains", "megatron", "deepseek_v4"])
def test_the_mean_of_streams_moves_by_the_mean_of_h_post(init: str, dynamic: bool) -> None:
    """Where columns of H_res sum to 1: mean_i x'[i] = mean_i x[i] + mean(H_post) F, whatever H_res mixes."""
    connection = {"init": init, "dynamic": dynamic, "noise": 1.0, "sinkhorn_iters": 200}
    stack = build_stack(build_spec(connection=connection))
    state, static = stack.embed().detach(), stack.connection.static_mixing()
    streams = stack.connection.streams
    with torch.no_grad():
        state = state + torch.randn(state.shape, generator=torch.Generator().manual_seed(0), dtype=state.dtype)
        for layer in range(stack.spec.depth):
            mixing = None if static is None else Mixing(*(part[layer] for part in static))
            out = stack.layer(layer, state, mixing)
            share = out.mixing.h_post.mean(-1)
            moved = streams(state).mean(0) + (share[:, None] if dynamic else share) * out.y
            assert (streams(out.state).mean(0) - moved).abs().max() < 1e-12
            state = out.state


def test_what_leaves_the_mean_does_not_return() -> None:
    """Doubly stochastic mixing never enlarges a state without branches, and its streams approach their mean."""
    connection = {"init": "lucidrains", "noise": 1.0, "sinkhorn_iters": 200}
    stack = build_stack(build_spec(depth=12, connection=connection, block={"branch_scale": 0.0}))
    static = stack.connection.static_mixing()
    assert static is not None
    with torch.no_grad():
        state = torch.randn(stack.embed().shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
        mean = state.mean(0)
        spread = [(state - mean).norm().item()]
        for layer in range(12):
            following = stack.layer(layer, state, Mixing(*(part[layer] for part in static))).state
            assert following.norm() <= state.norm() * (1 + 1e-12)
            assert (following.mean(0) - mean).abs().max() < 1e-12
            state = following
            spread.append((state - mean).norm().item())
    assert all(later < sooner for sooner, later in pairwise(spread))
    sigma2 = measure(stack.spec).layers["composite_sigma2"]
    assert spread[-1] <= spread[0] * sigma2[-1] * (1 + 1e-9)


@pytest.mark.full
def test_the_gradient_of_deep_stacks_with_a_norm_after_each_addition_has_its_law_s_mean() -> None:
    """Terms of order depth / width count: without them the curve is off by a factor of 1.6 here."""
    block = {"kind": "mlp", "activation": "tanh", "norm_position": "post", "mlp_ratio": 1, "weights": "he"}
    fields = {"width": 64, "depth": 96, "connection": RESIDUAL, "block": block}
    logs = np.array([measure(build_spec(WIDE, seed=seed, **fields)).layers_log10["grad_rms"] for seed in range(12)])
    (curve,) = (curve for curve in predict(build_spec(WIDE, **fields)) if curve.metric == "grad_rms")
    assert curve.values_log10 is not None
    assert_mean_near(logs, curve.values_log10, least=0.02)


@pytest.mark.sample(2)
@pytest.mark.parametrize("activation", ["tanh", "relu"])
def test_one_layer_below_a_norm_passes_a_gradient_as_matrices_do(activation: str) -> None:
    """E |(I + J^t) P g|^2 of z = x + W_2 phi(W_1 x) over draws of all four; P removes the part along z."""
    width, draws, rng = 16, 60_000, np.random.default_rng(7)
    block = {"kind": "mlp", "activation": activation, "norm_position": "post", "mlp_ratio": 1}
    network = describe_network(build_spec(WIDE, width=width, depth=1, connection=RESIDUAL, block=block))
    assert network is not None
    functions: dict[str, tuple[Any, Any]] = {
        "tanh": (np.tanh, lambda h: 1 - np.tanh(h) ** 2),
        "relu": (lambda h: np.maximum(h, 0.0), lambda h: (h > 0).astype(float)),
    }
    phi, slope = functions[activation]
    first, second = rng.standard_normal((2, draws, width, width)) / width**0.5
    first, second = first * network.gain_in**0.5, second * network.gain_out**0.5
    x, g = rng.standard_normal((2, draws, width))
    x *= (width / (x**2).sum(1))[:, None] ** 0.5
    h = np.einsum("dij,dj->di", first, x)
    z = x + np.einsum("dij,dj->di", second, phi(h))
    u = g - z * ((z * g).sum(1) / (z**2).sum(1))[:, None]
    down = u + np.einsum("dji,dj->di", first, slope(h) * np.einsum("dji,dj->di", second, u))
    samples = (down**2).sum(1) / width
    backward = Backward(Forward(network))
    backward._radial = 1.0  # g has any direction
    past, back = backward._find_factors(0)
    total = 1 + network.gain_out * float(np.mean(phi(rng.standard_normal(10**6) * network.gain_in**0.5) ** 2))
    error = samples.std() / draws**0.5
    found = (past + back) * total
    assert abs(samples.mean() - found) < 4 * error + 1 / width**2, (samples.mean(), found, error)


@pytest.mark.parametrize(
    ("connection", "scale", "activation"),
    [(RESIDUAL, 4.0, name) for name in ("linear", "relu", "gelu")]
    + [(PLAIN, 0.1, name) for name in ("linear", "relu", "tanh")],
)
def test_states_that_leave_the_range_of_floats_have_a_law(
    connection: dict[str, Any], scale: float, activation: str
) -> None:
    """Every layer multiplies the mean square alike, up to 10^300 or down to 10^-500."""
    block = {"kind": "mlp", "norm_position": "none", "branch_scale": scale, "activation": activation}
    spec = build_spec(WIDE, depth=256, connection=connection, block=block)
    network = describe_network(spec)
    assert network is not None
    growth = np.diff(Forward(network).log_v)[-60:]
    assert np.ptp(growth) < 1e-9
    if activation == "linear":
        assert growth[0] == pytest.approx(math.log(scale**2 + (connection == RESIDUAL)), abs=1e-12)
    predict(spec)
