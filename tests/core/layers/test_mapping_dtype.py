"""Mixing that is made in another type than its coefficients have."""

from typing import Any

import numpy as np
import pytest
import torch

from mhc_core.checks.check import to_verdict
from mhc_core.checks.recomputation import recompute
from mhc_core.checks.verification import verify
from mhc_core.stack import build_stack
from tests.core.conftest import CONNECTIONS, build_spec, measure, select_connections, shake

MAPPED = select_connections(lambda family: family.is_mapped)
DYNAMIC = {"init": "megatron", "dynamic": True}


@pytest.mark.sample(4)
@pytest.mark.parametrize("name", MAPPED)
def test_coefficients_made_in_bfloat16_are_numbers_of_bfloat16_in_their_own_type(name: str) -> None:
    spec = build_spec(dtype="float32", connection={**CONNECTIONS[name], "mapping_dtype": "bfloat16"})
    stack = build_stack(spec)
    connection = stack.connection
    mixing = connection.static_mixing() or connection.dynamic_mixing(1, stack.embed())
    plain = build_stack(build_spec(dtype="float32", connection=CONNECTIONS[name])).connection
    wanted = plain.static_mixing() or plain.dynamic_mixing(1, stack.embed())
    for part, exact in zip(mixing, wanted, strict=True):
        assert part.dtype == torch.float32
        assert torch.equal(part, part.to(torch.bfloat16).float())
        torch.testing.assert_close(part, exact, rtol=0.1, atol=0.01)
    assert any(not torch.equal(part, exact) for part, exact in zip(mixing, wanted, strict=True))


@pytest.mark.parametrize("connection", [{}, {"init": "mhc_lite"}, DYNAMIC])
def test_the_runs_own_type_changes_nothing(connection: dict[str, Any]) -> None:
    auto, named = (
        measure(build_spec(dtype="float32", connection=connection | more))
        for more in ({}, {"mapping_dtype": "float32"})
    )
    for key, column in auto.layers.items():
        np.testing.assert_array_equal(named.layers[key], column, err_msg=key)
    assert auto.loss == named.loss


def test_a_float64_run_can_map_in_float32() -> None:
    connection = {"kind": "mhc_lite", "init": "mhc_lite", "noise": 1.0}
    exact = measure(build_spec(connection=connection)).layers["ds_error"].max()
    rounded = measure(build_spec(connection=connection | {"mapping_dtype": "float32"})).layers["ds_error"].max()
    assert exact < 1e-15 < 1e-9 < rounded < 1e-6


@pytest.mark.parametrize("name", ["mhc", "mhc-dynamic", "mhc_lite-dynamic", "kromhc", "orthostochastic-dynamic"])
def test_gradients_pass_a_bfloat16_mapping(name: str) -> None:
    grads = []
    for more in ({}, {"mapping_dtype": "bfloat16"}):
        stack = shake(build_stack(build_spec(dtype="float32", connection=CONNECTIONS[name] | more)))
        stack().backward()
        grads.append(torch.cat([p.grad.flatten() for p in stack.connection.parameters() if p.grad is not None]))
    exact, rounded = grads
    assert rounded.dtype == torch.float32
    assert (rounded - exact).norm() < 0.1 * exact.norm()


@pytest.mark.parametrize("connection", [{"init": "lucidrains"}, {**DYNAMIC, "init": "lucidrains"}])
def test_it_trains(connection: dict[str, Any]) -> None:
    fields: dict[str, Any] = {"connection": connection | {"mapping_dtype": "bfloat16"}, "dtype": "bfloat16"}
    result = measure(build_spec(**fields, train={"steps": 4, "lr": 0.01}))
    assert np.isfinite(result.loss)
    assert result.loss < result.loss_untrained


@pytest.mark.sample(6)
@pytest.mark.parametrize("name", ["mhc", "mhc_lite", "mhc_lite-dynamic"])
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_no_law_asks_for_sums_of_one_and_true_runs_hold(name: str, dtype: str) -> None:
    spec = build_spec(depth=16, width=32, dtype=dtype, connection=CONNECTIONS[name] | {"mapping_dtype": "bfloat16"})
    checks = verify(spec, measure(spec), recompute(spec))
    assert to_verdict(checks) == "holds"
    assert not {"sums", "mean_law", "projection"} & {check.name for check in checks}
