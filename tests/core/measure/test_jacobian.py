"""Singular values by products with vectors, against dense Jacobians, products of actual weights and closed forms."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch

from mhc_core.layers.connections import Mixing
from mhc_core.measure.jacobian import bidiagonalise, linearise, measure_jacobian
from mhc_core.measure.run import run
from mhc_core.metrics import METRICS
from mhc_core.record.codec import decode_line, encode_frame, to_fields
from mhc_core.record.frames import JacobianFrame, SummaryFrame
from mhc_core.record.result import Result
from mhc_core.record.stages import Convergence
from mhc_core.spec import RunSpec
from mhc_core.stack import Stack, build_stack
from tests.core.conftest import CONNECTIONS, build_spec, collect, find_one, require, run_frames, shake

CPU = torch.device("cpu")
ONE_SEQUENCE: dict[str, Any] = {"kind": "gaussian", "batch": 1, "tokens": 4}
FULL = 32  # tokens times width: the dimension of J
LINEAR: dict[str, Any] = {"kind": "mlp", "mlp_ratio": 0, "activation": "linear", "norm_position": "none"}
PLAIN = {"kind": "none"}

SHAPES: dict[str, dict[str, Any]] = {
    **{name: {"connection": connection} for name, connection in CONNECTIONS.items()},
    "post-norm": {"connection": {"kind": "hc"}, "block": {"norm_position": "post", "norm": "layernorm"}},
    "layernorm": {"connection": {"kind": "residual"}, "block": {"norm": "layernorm", "activation": "silu"}},
    "conv": {"connection": {"kind": "mhc"}, "block": {"kind": "conv", "activation": "tanh"}},
    "pair": {"connection": {"kind": "hc", "dynamic": True}, "block": {"kind": "pair"}},
}


def small(fields: dict[str, Any], steps: int) -> RunSpec:
    return build_spec(**{**fields, "jacobian": steps, "input": ONE_SEQUENCE})


def jacobian(stack: Stack) -> JacobianFrame:
    (frame,) = measure_jacobian(stack, CPU)
    assert frame.type == "jacobian"
    return frame


def dense_singular_values(stack: Stack) -> np.ndarray:
    """Every singular value of the Jacobian that reverse mode builds row by row."""

    def whole(x_NC: torch.Tensor) -> torch.Tensor:
        state, static = stack.connection.expand(x_NC), stack.connection.static_mixing()
        for layer in range(stack.spec.depth):
            mixing = None if static is None else Mixing(*(part[layer] for part in static))
            state = stack.layer(layer, state, mixing).state
        return stack.connection.reduce(state)

    x_NC = stack.input().flatten(0, 1).detach()
    dense = torch.autograd.functional.jacobian(whole, x_NC).reshape(x_NC.numel(), x_NC.numel())
    return torch.linalg.svdvals(dense).numpy()


@dataclass
class Case:
    """Fields of a spec, the singular values of its dense Jacobian, and frames by number of steps, from few to all."""

    fields: dict[str, Any]
    wanted: np.ndarray
    frames: dict[int, JacobianFrame]


@pytest.fixture(params=SHAPES, scope="module")
def case(request: pytest.FixtureRequest) -> Case:
    """A stack whose mixing is moved off its start."""
    fields = SHAPES[request.param]
    stacks = {steps: shake(build_stack(small(fields, steps))) for steps in (1, 3, 8, 20, FULL)}
    frames = {steps: jacobian(stack) for steps, stack in stacks.items()}
    return Case(fields, dense_singular_values(stacks[1]), frames)


@pytest.mark.sample(9)
def test_as_many_steps_as_dimensions_find_every_singular_value(case: Case) -> None:
    found, wanted = case.frames[FULL], case.wanted
    values, products = found.values, found.products
    assert found.dimension == FULL
    np.testing.assert_allclose(values["jacobian_ritz"], wanted[:products], atol=1e-8 * wanted[0])
    assert products == FULL or wanted[products - 1] < 1e-14 * wanted[0]  # what is left out is zero
    assert values["jacobian_sigma_max"] == pytest.approx(wanted[0], rel=1e-8)
    assert values["jacobian_sigma_min"] == pytest.approx(wanted[-1], abs=1e-8 * wanted[0])
    assert values["jacobian_mismatch"] < 1e-12 * wanted[0]


@pytest.mark.sample(9)
def test_few_steps_bound_the_extremes_and_bounds_hold(case: Case) -> None:
    wanted, above, rounding = case.wanted, np.inf, 1e-12 * case.wanted[0]
    for steps, frame in case.frames.items():
        values = frame.values
        assert values["jacobian_sigma_max"] <= wanted[0] + rounding
        assert wanted[-1] - rounding <= values["jacobian_sigma_min"] <= above + rounding
        above = values["jacobian_sigma_min"]
        for end in ("sigma_max", "sigma_min"):
            value, bound = values[f"jacobian_{end}"], values[f"jacobian_{end}_bound"]
            assert np.abs(wanted - value).min() <= bound + rounding, (steps, end)


@pytest.mark.sample(9)
def test_what_is_called_converged_is_within_a_hundredth(case: Case) -> None:
    for steps, frame in case.frames.items():
        for end, value in (("sigma_max", case.wanted[0]), ("sigma_min", case.wanted[-1])):
            if getattr(frame.converged, end):
                assert frame.values[f"jacobian_{end}"] == pytest.approx(value, rel=0.01), (steps, end)
    assert case.frames[FULL].converged.sigma_max


@pytest.mark.sample(9)
def test_both_products_are_those_of_the_dense_jacobian(case: Case) -> None:
    """J^T u and J v against differences of the output along v, which share nothing with either."""
    stack = shake(build_stack(small(case.fields, 1)))
    multiply, transposed = linearise(stack)
    v, u = torch.randn(2, 4, 8, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    x = stack.input().flatten(0, 1)

    def out(step: float) -> torch.Tensor:
        return stack.connection.reduce(stack.run_layers(stack.connection.expand(x + step * v))[0]).detach()

    h = 1e-5
    central = (8 * (out(h) - out(-h)) - (out(2 * h) - out(-2 * h))) / (12 * h)
    assert (multiply(v) - central).norm() < 1e-8 * central.norm()
    assert (u * multiply(v)).sum().item() == pytest.approx((transposed(u) * v).sum().item(), rel=1e-10)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_an_orthogonal_linear_stack_keeps_every_length(dtype: str) -> None:
    block = {**LINEAR, "weights": "orthogonal"}
    spec = build_spec(depth=30, width=32, dtype=dtype, connection=PLAIN, block=block, jacobian=10)
    found = jacobian(build_stack(spec))
    np.testing.assert_allclose(found.values["jacobian_ritz"], 1, rtol=1e-5)
    assert found.converged == Convergence(sigma_max=True, sigma_min=True)


def test_branches_of_nothing_leave_the_identity() -> None:
    spec = build_spec(connection={"kind": "residual"}, block={"branch_scale": 0.0}, jacobian=10)
    found = jacobian(build_stack(spec))
    assert found.products == 1  # one vector shows all that there is
    assert found.values["jacobian_sigma_max"] == pytest.approx(1, abs=1e-14)
    assert found.values["jacobian_sigma_min"] == pytest.approx(1, abs=1e-14)
    assert found.converged == Convergence(sigma_max=True, sigma_min=True)


@pytest.mark.parametrize("streams", [2, 4])
def test_copies_and_their_mean_do_not_change_the_size(streams: int) -> None:
    """HC at its start is the residual network, whatever n: x_0 stands before the copy and out after the mean."""
    one = jacobian(build_stack(build_spec(connection={"kind": "residual"}, jacobian=12))).values
    hc = {"kind": "hc", "noise": 0.0, "streams": streams}
    many = jacobian(build_stack(build_spec(connection=hc, jacobian=12))).values
    np.testing.assert_allclose(many["jacobian_ritz"], one["jacobian_ritz"], rtol=1e-10)


@pytest.mark.parametrize("connection", ["none", "residual"])
def test_a_linear_stack_is_the_product_of_its_weights(connection: str) -> None:
    """J = I (x) W_L ... W_1: every singular value of the product, at most once a token.

    In exact arithmetic a Krylov space holds each value once; how many copies rounding adds depends on the processor.
    """
    spec = build_spec(depth=5, width=16, connection={"kind": connection}, block=LINEAR, input=ONE_SEQUENCE, jacobian=64)
    stack = build_stack(spec)
    product = torch.eye(16, dtype=torch.float64)
    skip = torch.eye(16) if connection == "residual" else torch.zeros(16, 16)
    for layer in range(5):
        product = (stack.get_parameter(f"branches.{layer}.w_in") + skip) @ product
    wanted = torch.linalg.svdvals(product.detach()).numpy()
    found = jacobian(stack)
    distance = np.abs(found.values["jacobian_ritz"][:, None] - wanted)
    copies = np.bincount(distance.argmin(1), minlength=len(wanted))
    assert distance.min(1).max() <= 1e-9 * wanted[0]
    assert copies.min() >= 1
    assert copies.max() <= ONE_SEQUENCE["tokens"]
    assert found.converged.sigma_max


@pytest.mark.parametrize("depth", [1, 2, 4])
def test_a_gaussian_deep_linear_net_ends_where_theory_says(depth: int) -> None:
    """Largest squared singular value (L+1)^(L+1) / L^L; the band is the spread of products of independent matrices."""
    width = 192
    limit = (depth + 1) ** (depth + 1) / depth**depth
    generator = np.random.default_rng(depth)
    drawn = []
    for _ in range(24):
        product = np.eye(width)
        for _ in range(depth):
            product = generator.standard_normal((width, width)) / width**0.5 @ product
        drawn.append(np.linalg.norm(product, 2) ** 2 / limit)
    mean, spread = np.mean(drawn), np.std(drawn)
    assert mean == pytest.approx(1, abs=0.1)  # of order C^(-2/3), and falling
    for seed in range(3):
        fields: dict[str, Any] = {"connection": PLAIN, "block": LINEAR, "input": ONE_SEQUENCE}
        spec = build_spec(depth=depth, width=width, dtype="float32", seed=seed, jacobian=40, **fields)
        found = jacobian(build_stack(spec))
        assert found.converged.sigma_max
        assert found.values["jacobian_sigma_max"] ** 2 / limit == pytest.approx(mean, abs=4 * spread)


@pytest.mark.sample(3)
@pytest.mark.parametrize("name", ["residual", "hc", "mhc-dynamic"])
def test_float32_finds_what_float64_finds(name: str) -> None:
    fields: dict[str, Any] = {"depth": 24, "width": 32, "connection": CONNECTIONS[name], "jacobian": 20}
    double = jacobian(build_stack(build_spec(**fields))).values
    single = jacobian(build_stack(build_spec(dtype="float32", **fields))).values
    assert single["jacobian_sigma_max"] == pytest.approx(double["jacobian_sigma_max"], rel=1e-5)
    assert single["jacobian_sigma_min"] == pytest.approx(double["jacobian_sigma_min"], rel=1e-3)
    assert single["jacobian_mismatch"] > 1e3 * double["jacobian_mismatch"]


def test_a_matrix_of_low_rank_ends_early_with_its_zero() -> None:
    generator = torch.Generator().manual_seed(0)
    left, right = torch.randn(2, 30, 3, generator=generator, dtype=torch.float64)
    matrix, start = left @ right.T, torch.randn(30, generator=generator, dtype=torch.float64)
    found = bidiagonalise(lambda v: matrix @ v, lambda u: matrix.T @ u, start, 30)
    assert len(found.alpha) == 4  # three directions and one that is sent to zero
    ritz = np.linalg.svd(np.diag(found.alpha) + np.diag(found.beta[:-1], 1), compute_uv=False)
    np.testing.assert_allclose(ritz[:3], torch.linalg.svdvals(matrix)[:3], rtol=1e-12)
    assert ritz[3] < 1e-12


def test_weights_still_learn_after_the_measurement() -> None:
    stack = build_stack(build_spec(jacobian=2))
    before = [parameter.requires_grad for parameter in stack.parameters()]
    jacobian(stack)
    assert [parameter.requires_grad for parameter in stack.parameters()] == before
    assert all(parameter.grad is None for parameter in stack.parameters())


def test_a_jacobian_beyond_its_type_has_a_status_and_no_value() -> None:
    spec = build_spec(depth=512, dtype="float32", connection={"kind": "hc", "noise": 3.0}, jacobian=3)
    found = jacobian(build_stack(spec))
    keys = {key for key, metric in METRICS.items() if metric.table == "jacobian"}
    assert set(found.values) == set(found.status) == keys
    assert np.isnan([np.max(value) for value in found.values.values()]).all()
    assert found.converged == Convergence(sigma_max=False, sigma_min=False)


def test_the_frame_comes_where_the_spec_asks_for_it() -> None:
    kinds = [frame.type for frame in run(build_spec(jacobian=3))]
    assert kinds[-3:] == ["mixing", "jacobian", "summary"]
    assert "jacobian" not in [frame.type for frame in run_frames(build_spec())]


def test_every_value_is_in_the_catalogue_with_its_logarithm() -> None:
    frame = find_one(run_frames(build_spec(jacobian=6)), JacobianFrame)
    assert set(frame.values) == {key for key, metric in METRICS.items() if metric.frame == "jacobian"}
    for key, value in frame.values.items():
        assert np.shape(value) == {"K": (6,), "": ()}[METRICS[key].shape]
        np.testing.assert_allclose(frame.log10[key], np.log10(require(value)), rtol=1e-12)
    assert frame.status == {}


def test_lines_add_up_to_the_same_jacobian() -> None:
    frames = run_frames(build_spec(jacobian=6))
    here, there = collect(list(frames)), Result()
    for index, frame in enumerate(frames):
        there.add(decode_line(encode_frame(frame, "id", index)))
    assert require(here.jacobian).products == 6
    np.testing.assert_equal(to_fields(require(there.jacobian)), to_fields(require(here.jacobian)))


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        (
            {"connection": {"kind": "residual"}, "block": {"branch_scale": 0.0}},
            "The Jacobian's singular values range from 1.00 to 1.00.",
        ),
        (
            {"connection": PLAIN, "block": {"branch_scale": 0.0, "norm_position": "none"}},
            "The Jacobian is zero: no change of the input reaches the output.",
        ),
    ],
)
def test_the_finding_says_what_is_known(fields: dict[str, Any], words: str) -> None:
    summary = find_one(run_frames(build_spec(jacobian=8, **fields)), SummaryFrame)
    (finding,) = [finding for finding in summary.findings if finding.key == "jacobian"]
    assert finding.text == words


def test_the_finding_does_not_claim_what_has_not_converged() -> None:
    few, more = (run_frames(build_spec(depth=24, width=32, jacobian=steps)) for steps in (2, 30))
    text = {}
    for name, frames in (("few", few), ("more", more)):
        (finding,) = [f for f in find_one(frames, SummaryFrame).findings if f.key == "jacobian"]
        text[name] = finding.text
    assert find_one(few, JacobianFrame).converged == Convergence(sigma_max=False, sigma_min=False)
    assert text["few"].startswith("The Jacobian's singular values have not converged after 2 pairs of products")
    assert find_one(more, JacobianFrame).converged == Convergence(sigma_max=True, sigma_min=False)
    assert "largest singular value is" in text["more"]
    assert "has not converged" in text["more"]
