"""Streams that start as the embedding times vectors of their own."""

from typing import Any

import numpy as np
import pytest
import torch

from mhc_core.checks.recomputation import recompute
from mhc_core.checks.verification import verify
from mhc_core.cost.counts import count_parameters
from mhc_core.layers.expansion import CENTRE
from mhc_core.stack import build_stack
from mhc_core.theory.premises import find_unmet_premises
from tests.core.checks.test_verify import failures
from tests.core.conftest import build_spec, measure, shake
from tests.core.test_forward import assert_equal_to_reference

CONNECTIONS: dict[str, dict[str, Any]] = {
    "static": {"kind": "mhc_lite", "init": "mhc_lite"},
    "dynamic": {"kind": "mhc", "init": "deepseek_v4", "dynamic": True},
    "previous": {"kind": "mhc", "init": "mhc_lite", "dynamic": True, "read_from": "previous"},
    "hc": {"kind": "hc"},
    "gated": {"kind": "gated"},
}


def build(name: str, **fields: Any) -> Any:
    return build_spec(connection={**CONNECTIONS[name], "expand": "scaled", "noise": 0.5}, **fields)


@pytest.mark.parametrize("name", CONNECTIONS)
def test_states_and_loss_are_those_of_plain_loops(name: str) -> None:
    assert_equal_to_reference(shake(build_stack(build(name))))


@pytest.mark.parametrize("name", CONNECTIONS)
def test_the_gradient_at_the_embedding_is_that_of_all_scaled_streams(name: str) -> None:
    spec = build(name)
    stack, result = build_stack(spec), measure(spec)
    x = stack.input().flatten(0, 1).detach().requires_grad_()
    stack.loss(stack.run_layers(stack.connection.expand(x))[0]).backward()
    assert x.grad is not None
    assert result.input is not None
    assert result.input["grad_rms"] == pytest.approx(x.grad.square().mean().sqrt().item(), rel=1e-12)
    assert isinstance(stack.connection.expand_scale, torch.nn.Parameter)
    assert stack.connection.expand_scale.grad is not None
    assert count_parameters(spec) == sum(parameter.numel() for parameter in stack.parameters())


def test_vectors_start_by_xaviers_bound() -> None:
    stack = build_stack(build("static", width=512))
    scale: Any = stack.connection.expand_scale
    found, bound = scale.detach().numpy(), (6 / (4 + 512)) ** 0.5
    assert found.shape == (4, 512)
    assert np.abs(found - CENTRE).max() <= bound
    assert np.abs(found - CENTRE).max() > 0.99 * bound
    assert found.mean() == pytest.approx(CENTRE, abs=4 * bound / 3**0.5 / 2048**0.5)


def test_streams_that_differ_give_the_mixing_a_gradient() -> None:
    """Copies give the first layer none where rows sum to 1, nor do scaled ones where all that follows is even."""
    cases = (("mhc_lite", "copies", False), ("c_mhc", "scaled", False), ("mhc_lite", "scaled", True))
    for init, expand, moves in cases:
        connection = {"kind": "mhc_lite", "init": init, "noise": 0.0, "expand": expand}
        spec = build_spec(connection=connection, block={"kind": "mlp"})
        stack = build_stack(spec)
        stack().backward()
        grad: Any = stack.connection.b_res.grad
        assert (grad[0].abs().max() > 1e-9) == moves
    (premise,) = {item.field for key, item in find_unmet_premises(spec).items() if key == "act_rms"}
    assert premise == "connection.expand"


@pytest.mark.parametrize("name", ["static", "dynamic"])
def test_true_runs_hold(name: str) -> None:
    spec = build(name, dtype="float32")
    assert failures(verify(spec, measure(spec), recompute(spec))) == []
