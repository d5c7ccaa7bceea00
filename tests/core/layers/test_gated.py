"""Gated reads of single features: closed forms, the start, gradients. `tests/oracles/test_qwen4.py` has the module."""

from typing import Any

import numpy as np
import pytest
import torch

from mhc_core.figures import PANELS
from mhc_core.figures.style import THEMES
from mhc_core.layers.connection import GatedMixing
from mhc_core.layers.connections import build_connection
from mhc_core.layers.gated import normalise_streams
from mhc_core.stack import build_stack
from tests.core.conftest import build_spec, measure, shake

KIND: dict[str, Any] = {"kind": "gated", "streams": 3, "gate_rank": 5}


def build_layer(**fields: Any) -> tuple[Any, torch.Tensor, GatedMixing]:
    """A connection with moved weights, a state (N, n, C) and what its first layer is mixed with."""
    connection: Any = shake(build_stack(build_spec(connection=KIND | fields))).connection
    state = torch.randn(7, connection.n, 8, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    return connection, state, connection.dynamic_mixing(0, state)


def test_h_pre_is_the_mean_of_the_weights_of_features() -> None:
    _, _, made = build_layer()
    torch.testing.assert_close(made.h_pre, made.features.mean(2), rtol=1e-14, atol=0)
    assert not made.h_pre.requires_grad
    assert made.features.std(2).min() > 1e-3, "features have weights of their own"


def test_what_is_read_does_not_change_with_the_size_of_a_stream() -> None:
    connection, state, made = build_layer()
    sizes = torch.tensor([1e-3, 1.0, 1e6], dtype=torch.float64).view(3, 1)
    scaled = connection.dynamic_mixing(0, state * sizes)
    torch.testing.assert_close(connection.read(state * sizes, scaled), connection.read(state, made))
    torch.testing.assert_close(scaled.h_post, made.h_post)
    torch.testing.assert_close(scaled.h_pre * sizes.flatten(), made.h_pre)


def test_each_stream_is_passed_by_unchanged_and_gets_its_share_of_the_output() -> None:
    connection, state, made = build_layer()
    y = torch.randn(7, 8, generator=torch.Generator().manual_seed(4), dtype=torch.float64)
    found = connection.write(state, y, made)
    torch.testing.assert_close(found, state + made.h_post.unsqueeze(2) * y.unsqueeze(1), rtol=0, atol=0)
    assert made.h_post.min() > 0
    assert made.h_post.max() < 2
    assert torch.equal(made.h_res, torch.eye(3, dtype=torch.float64).expand(7, 3, 3))


def test_weights_of_zero_give_the_residual_network() -> None:
    """Every gate is then 1/2 and every share 1: equal streams stay equal, and the norm of a branch undoes the half."""
    stack = build_stack(build_spec(connection=KIND))
    with torch.no_grad():
        for parameter in stack.connection.parameters():
            parameter.zero_()
    plain = build_stack(build_spec(connection={"kind": "residual"}))
    assert stack().item() == pytest.approx(plain().item(), rel=1e-13)


def test_at_the_start_gates_are_near_a_half_and_shares_near_one() -> None:
    result = measure(build_spec(connection=KIND))
    # The embedding leaves each stream alike, of size s: the mean weight is 1/2 / (n s).
    size = 10 ** result.layers_log10["act_rms_streams"]
    half = result.matrices["h_pre"][1:] * 3 * size[:-1]
    np.testing.assert_allclose(half, 0.5, atol=0.1)
    np.testing.assert_allclose(result.matrices["h_post"], 1, atol=0.1)
    assert (result.layers["gate_spread"] < 0.05).all()
    assert (result.layers["gate_spread"] > 0).all()


def test_a_rank_is_the_number_of_independent_gates() -> None:
    """Before the sigmoid, gates of many samples span as many directions as the rank."""
    _, state, _ = build_layer()
    for rank in (1, 2, 5):
        connection, _, _ = build_layer(gate_rank=rank)
        state = torch.randn(50, 3, 8, generator=torch.Generator().manual_seed(5), dtype=torch.float64)
        v_ND, inverse_Nn = normalise_streams(state)
        gates = (connection.mixers[0].weigh(v_ND, inverse_Nn) * 3 / inverse_Nn.unsqueeze(2)).flatten(1)
        logits = torch.log(gates / (1 - gates)).detach()
        assert int(torch.linalg.matrix_rank(logits, atol=1e-9)) == rank


@pytest.mark.full
def test_gradients_are_those_of_finite_differences() -> None:
    connection, state, _ = build_layer()
    mixer, names = connection.mixers[0], ("w_down", "w_up", "w_post")

    class Layer(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.mixer = mixer

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            made = self.mixer.mix(x)
            return connection.write(x, torch.tanh(connection.read(x, made)), made)

    whole = Layer()

    def run(x: torch.Tensor, *weights: torch.Tensor) -> torch.Tensor:
        named = {f"mixer.{name}": weight for name, weight in zip(names, weights, strict=True)}
        found: torch.Tensor = torch.func.functional_call(whole, named, (x,))
        return found

    weights = [getattr(mixer, name).detach().clone().requires_grad_() for name in names]
    tensors = (state[:2].clone().requires_grad_(), *weights)
    assert torch.autograd.gradcheck(run, tensors)
    assert torch.autograd.gradgradcheck(run, tensors)


@pytest.mark.parametrize("size", [1e-5, 1.0, 1e25])
def test_float32_streams_of_any_size_keep_their_digits(size: float) -> None:
    state = size * torch.randn(7, 3, 8, generator=torch.Generator().manual_seed(6))
    exact: Any = build_connection(build_spec(connection=KIND)).double()
    wanted = exact.read(state.double(), exact.dynamic_mixing(0, state.double()))
    rounded: Any = build_connection(build_spec(dtype="float32", connection=KIND))
    found = rounded.read(state, rounded.dynamic_mixing(0, state))
    torch.testing.assert_close(found.double(), wanted, rtol=1e-5, atol=1e-6)


def test_runs_without_gates_are_said_to_have_none() -> None:
    template = PANELS["streams"].build(2, THEMES["light"], "gate_spread")
    assert template["layout"]["meta"]["absent"] == {
        "key": "gate_spread",
        "text": "No gates: layers read whole streams.",
    }
