"""Branch scalings: their constants from the papers, what they do to weights, and the laws that they were made for."""

import math
from typing import Any

import numpy as np
import pytest
import torch

from mhc_core.layers.connections import Mixing
from mhc_core.spec import SpecErrors
from mhc_core.stack import Stack, build_stack
from tests.core.conftest import CONNECTIONS, build_spec, measure

LEARNED = {"rezero": lambda depth: 0.0, "skipinit": lambda depth: depth**-0.5}


def stack_of(scaling: str, position: str = "pre", **fields: Any) -> Stack:
    block = {"scaling": scaling, "norm_position": position, **fields.pop("block", {})}
    return build_stack(build_spec(block=block, **fields))


def top_of(stack: Stack, x: torch.Tensor) -> torch.Tensor:
    """The stack's output before its norm and read-out, as a function of its input."""
    state, static = stack.connection.expand(x), stack.connection.static_mixing()
    for layer in range(stack.spec.depth):
        mixing = None if static is None else Mixing(*(part[layer] for part in static))
        state = stack.layer(layer, state, mixing).state
    return stack.connection.reduce(state)


@pytest.mark.parametrize("depth", [1, 6, 9])
@pytest.mark.parametrize("scaling", LEARNED)
def test_a_learned_gain_is_one_number_a_layer_and_starts_where_the_paper_says(scaling: str, depth: int) -> None:
    stack = stack_of(scaling, depth=depth)
    gains = [parameter for name, parameter in stack.named_parameters() if name.endswith("gain")]
    assert [gain.shape for gain in gains] == [()] * depth
    assert [gain.item() for gain in gains] == pytest.approx([LEARNED[scaling](depth)] * depth, abs=1e-15)
    for other in ("constant", "inv_sqrt_depth", "layernorm_scaling"):
        assert not any(name.endswith("gain") for name, _ in stack_of(other).named_parameters())


@pytest.mark.parametrize("name", ["residual", "frac", "mhc"])
def test_rezero_starts_as_the_identity_with_the_identity_as_its_jacobian(name: str) -> None:
    """Where the skip path passes a signal on unchanged: mHC's does for what its streams share."""
    connection = {**CONNECTIONS[name], "noise": 0.0, "init": "residual"}
    stack = stack_of("rezero", depth=7, connection=connection, input={"kind": "gaussian", "batch": 1, "tokens": 4})
    x = stack.input().detach().flatten(0, 1)
    with torch.no_grad():
        out = top_of(stack, x)
        jacobian = torch.autograd.functional.jacobian(lambda z: top_of(stack, z), x).flatten(2).flatten(0, 1)
    assert x.abs().max() > 1
    assert (out - x).abs().max() < 1e-14
    assert (jacobian - torch.eye(len(jacobian))).abs().max() < 1e-14


def test_at_rezeros_start_the_gains_alone_get_a_gradient() -> None:
    stack = stack_of("rezero", connection={"kind": "residual"})
    stack().backward()
    for name, parameter in stack.branches.named_parameters():
        assert parameter.grad is not None
        assert parameter.grad.any() == name.endswith("gain"), name
    result = measure(stack.spec)
    assert (result.layers["branch_out_rms"] == 0).all()
    gains = [gain.grad for name, gain in stack.branches.named_parameters() if name.endswith("gain")]
    norms = [abs(grad.item()) for grad in gains if grad is not None]
    np.testing.assert_allclose(result.layers["param_grad_norm"], norms, rtol=1e-12)


@pytest.mark.full
@pytest.mark.parametrize("scaling", ["inv_sqrt_depth", "skipinit"])
def test_branches_scaled_by_the_root_of_depth_add_one_unit_of_variance_in_all(scaling: str) -> None:
    """1 + sum of a_k^2 with a_k = 1 / sqrt(L): 2 at any depth, where constant branches give 1 + L."""
    block = {"kind": "mlp", "mlp_ratio": 0, "activation": "linear", "weights": "orthogonal"}
    for depth in (4, 36):
        fields: dict[str, Any] = {
            "width": 256, "depth": depth, "connection": {"kind": "residual"}, "block": block, "dtype": "float32"
        }  # fmt: skip
        runs = [
            measure(
                stack_of(scaling, seed=seed, input={"kind": "gaussian", "batch": 2, "tokens": 16}, **fields).spec
            ).layers["act_rms"][-1]
            for seed in range(4)
        ]
        assert np.square(runs).mean() == pytest.approx(2.0, rel=0.02)


@pytest.mark.parametrize(("block", "depth"), [("mlp", 5), ("transformer", 8), ("conv", 5), ("pair", 7)])
def test_deepnorms_constants_count_two_layers_a_block(block: str, depth: int) -> None:
    """alpha = (2 N)^(1/4) and beta = (8 N)^(-1/4) of N = L / 2; beta spares queries, keys and gates."""
    fields: dict[str, Any] = {"depth": depth, "input": {"tokens": 9}}
    plain = stack_of("constant", "post", block={"kind": block}, **fields)
    scaled = stack_of("deepnorm", "post", block={"kind": block}, **fields)
    blocks = depth / 2
    alpha, beta = (2 * blocks) ** 0.25, (8 * blocks) ** -0.25
    for layer, (one, other) in enumerate(zip(plain.branches, scaled.branches, strict=True)):
        assert other.skip == pytest.approx(alpha, rel=1e-12)
        name = str(one.name)
        for (key, weight), (_, small) in zip(one.named_parameters(), other.named_parameters(), strict=True):
            factor = torch.full((len(weight), *[1] * (weight.ndim - 1)), beta, dtype=weight.dtype)
            if key == "w_qkv":
                factor[: 2 * len(weight) // 3] = 1.0
            if key == "w_in" and "triangle" in name:
                factor[:] = 1.0
            assert torch.allclose(small, factor * weight, rtol=1e-6), (layer, key)


def test_deepnorms_constants_are_the_papers_at_its_depths() -> None:
    # Decoder only, 24 and 100 blocks: (48)^(1/4) and (192)^(-1/4), (200)^(1/4) and (800)^(-1/4).
    for blocks, alpha, beta in ((24, 2.632148, 0.268642), (100, 3.760603, 0.188030)):
        stack = stack_of("deepnorm", "post", depth=2 * blocks)
        one = build_stack(build_spec(depth=2 * blocks, block={"norm_position": "post"}))
        assert stack.branches[0].skip == pytest.approx(alpha, abs=1e-6)
        small, plain = (made.branches[1].get_parameter("w_in").norm().item() for made in (stack, one))
        assert small / plain == pytest.approx(beta, abs=1e-6)


def test_deepnorm_bounds_what_a_layer_changes() -> None:
    """Post-norm moves a state by a step of O(1) in every layer; DeepNorm's steps shrink with depth."""

    def step(scaling: str, depth: int) -> float:
        stack = stack_of(scaling, "post", depth=depth, connection={"kind": "residual"}, width=64, block={"heads": 4})
        with torch.no_grad():
            state = stack.embed()
            out = stack.layer(0, state, None if (s := stack.connection.static_mixing()) is None else at(s, 0)).state
            start = state / state.square().mean(-1, keepdim=True).sqrt()
            return float((out - start).square().mean().sqrt())

    def at(static: Mixing, layer: int) -> Mixing:
        return Mixing(*(part[layer] for part in static))

    assert step("constant", 8) == pytest.approx(step("constant", 200), rel=1e-12)
    # Branch over skip is beta^2 / alpha, that is 1 / (2 (L)^(3/4)), for the value and output matrices.
    assert step("deepnorm", 8) / step("deepnorm", 200) == pytest.approx((200 / 8) ** 0.75, rel=0.05)


@pytest.mark.parametrize(("block", "layers"), [("mlp", 1), ("conv", 1), ("transformer", 2), ("pair", 3)])
def test_layernorm_scaling_counts_blocks_from_one(block: str, layers: int) -> None:
    depth = 3 * layers + 1
    scaled = stack_of("layernorm_scaling", block={"kind": block}, depth=depth, input={"tokens": 9})
    for layer, branch in enumerate(scaled.branches):
        assert branch.norm_scale == pytest.approx(1 / math.sqrt(layer // layers + 1), rel=1e-15)


@pytest.mark.full
def test_layernorm_scaling_slows_the_growth_of_variance_to_a_logarithm() -> None:
    """One linear matrix a layer: variance 1 + sum of 1 / l."""
    block = {"kind": "mlp", "mlp_ratio": 0, "activation": "linear", "weights": "orthogonal"}
    spec = stack_of(
        "layernorm_scaling",
        width=512,
        depth=40,
        dtype="float32",
        connection={"kind": "residual"},
        block=block,
        input={"kind": "gaussian", "batch": 2, "tokens": 16},
    ).spec
    wanted = 1 + np.cumsum(1 / np.arange(1, 41))
    np.testing.assert_allclose(measure(spec).layers["act_rms"] ** 2, wanted, rtol=0.02)


@pytest.mark.parametrize(("scaling", "position"), [("deepnorm", "pre"), ("layernorm_scaling", "post")])
def test_a_scaling_made_for_another_norm_position_is_refused(scaling: str, position: str) -> None:
    with pytest.raises(SpecErrors) as refusal:
        build_spec(block={"scaling": scaling, "norm_position": position})
    (error,) = refusal.value.errors
    assert error.field == "block.scaling"


@pytest.mark.sample(6)
@pytest.mark.parametrize("connection", CONNECTIONS.values(), ids=CONNECTIONS)
def test_a_scaled_stack_is_the_same_in_every_precision(connection: dict[str, Any]) -> None:
    for scaling, position in (("deepnorm", "post"), ("skipinit", "pre")):
        block = {"scaling": scaling, "norm_position": position}
        wanted = measure(build_spec(connection=connection, block=block))
        for dtype, tolerance in (("float32", 2e-6), ("bfloat16", 4e-2)):
            got = measure(build_spec(connection=connection, block=block, dtype=dtype))
            for key in ("act_rms", "branch_out_rms", "param_grad_norm"):
                np.testing.assert_allclose(got.layers[key], wanted.layers[key], rtol=tolerance, err_msg=key)
