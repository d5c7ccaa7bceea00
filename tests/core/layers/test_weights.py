"""How branch matrices are drawn: variance by scheme, fan and activation, and orthogonality."""

import numpy as np
import pytest
import torch

from mhc_core import rng
from mhc_core.stack import build_stack
from tests.core.conftest import build_spec

WIDTH = 64


def draw(weights: str, activation: str) -> dict[str, torch.Tensor]:
    """Matrices of one attention layer and one MLP with four times the width, by name."""
    block = {"weights": weights, "activation": activation, "mlp_ratio": 4}
    branches = build_stack(build_spec(depth=2, width=WIDTH, block=block)).branches
    attention, mlp = (dict(branch.named_parameters()) for branch in branches)
    found = {"qkv": attention["w_qkv"], "out": attention["w_out"], "mlp.in": mlp["w_in"], "mlp.out": mlp["w_out"]}
    return {name: weight.detach() for name, weight in found.items()}


def rectifier_gain(name: str, activation: str) -> float:
    """2 where the product goes through a rectifier."""
    return 2.0 if name == "mlp.in" and activation in ("relu", "gelu", "silu") else 1.0


def assert_variance(weight: torch.Tensor, wanted: float) -> None:
    # The variance of N Gaussian values has a relative error of sqrt(2 / N).
    assert weight.square().mean().item() == pytest.approx(wanted, rel=4 * (2 / weight.numel()) ** 0.5)
    assert weight.mean().abs().item() < 4 * (wanted / weight.numel()) ** 0.5


@pytest.mark.parametrize("activation", ["relu", "gelu", "silu", "tanh", "linear"])
def test_he_weights_have_variance_gain_over_fan_in(activation: str) -> None:
    for name, weight in draw("he", activation).items():
        assert_variance(weight, rectifier_gain(name, activation) / weight.shape[1])


def test_xavier_weights_have_variance_two_over_both_fans() -> None:
    for weight in draw("xavier", "relu").values():
        assert_variance(weight, 2 / sum(weight.shape))


@pytest.mark.parametrize("activation", ["relu", "tanh"])
def test_orthogonal_weights_are_semi_orthogonal(activation: str) -> None:
    for name, weight in draw("orthogonal", activation).items():
        gain = rectifier_gain(name, activation)
        short = weight if weight.shape[0] <= weight.shape[1] else weight.T
        np.testing.assert_allclose((short @ short.T).numpy(), gain * np.eye(len(short)), atol=1e-6)


@pytest.mark.parametrize("shape", [(8, 16), (rng.KEPT_VALUES + 1,)])
def test_a_draw_is_the_same_again_whatever_became_of_it(shape: tuple[int, ...]) -> None:
    first = rng.normal(7, "mlp.in", 3, *shape)
    wanted = first.clone()
    first.zero_()  # what is kept for the next stack must not be what this one trains
    assert torch.equal(rng.normal(7, "mlp.in", 3, *shape), wanted)


def test_no_large_draw_is_kept() -> None:
    before = rng._draw_normal.cache_info().currsize
    rng.normal(8, "mlp.in", 0, rng.KEPT_VALUES + 1)
    assert rng._draw_normal.cache_info().currsize == before
