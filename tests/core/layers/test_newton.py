"""The exact projection: closed forms, many rounds of Sinkhorn, its gradient, and what twenty rounds leave."""

from typing import Any

import numpy as np
import pytest
import torch

from mhc_core.checks.recomputation import recompute
from mhc_core.checks.verification import verify
from mhc_core.families.mhc import solve_duals
from mhc_core.family import MapSettings
from mhc_core.layers.newton import project_exactly
from mhc_core.layers.sinkhorn import sinkhorn
from mhc_core.spec import RunSpec, parse_spec
from mhc_core.stack import build_stack
from tests.core.checks.test_verify import failures
from tests.core.conftest import build_spec, measure, shake
from tests.core.layers.test_sinkhorn import draw
from tests.core.test_forward import assert_equal_to_reference
from tests.oracles.plain_families import scale_fully


@pytest.mark.parametrize("n", [1, 2, 3, 4, 8, 16])
def test_it_is_the_limit_of_the_rounds(n: int) -> None:
    t = draw(6, n, n)
    found = project_exactly(t).numpy()
    np.testing.assert_allclose(found, scale_fully(t).numpy(), rtol=1e-12)
    np.testing.assert_allclose(found, sinkhorn(t, 1000).numpy(), rtol=1e-12)
    reference = solve_duals(t.flatten(1).numpy(), MapSettings(n), lambda x: x)
    np.testing.assert_allclose(found, reference, rtol=1e-12)


def test_two_by_two_is_a_sigmoid() -> None:
    t = draw(50, 2, 2, scale=5)
    p = torch.sigmoid((t[:, 0, 0] + t[:, 1, 1] - t[:, 0, 1] - t[:, 1, 0]) / 2)
    torch.testing.assert_close(project_exactly(t)[:, 0, 0], p, rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("scale", [0.3, 1.0, 3.0, 10.0, 30.0])
def test_sums_are_1_at_any_spread(scale: float) -> None:
    """Twenty rounds leave errors of columns that grow with the spread."""
    t = draw(500, 4, 4, scale=scale)
    found = project_exactly(t)
    assert (found.sum(-1) - 1).abs().max() < 1e-15 * 4
    errors = (found.sum(-2) - 1).abs().amax(-1)
    assert (errors > 1e-12).sum() <= (2 if scale > 10 else 0)
    assert errors.max() < 1e-3
    assert ((sinkhorn(t, 20).sum(-2) - 1).abs().max() > 0.04) == (scale >= 3)


@pytest.mark.sample(3)
@pytest.mark.parametrize("n", [2, 4, 6])
def test_the_gradient_is_that_of_the_limit(n: int) -> None:
    """Of 3000 rounds by autograd to 1e-10, and by finite differences; a second time as well."""
    t, weights = draw(10, n, n).requires_grad_(), torch.arange(n * n, dtype=torch.float64).view(n, n).square().sin()
    (own,) = torch.autograd.grad((weights * project_exactly(t)).sum(), t)
    (rounds,) = torch.autograd.grad((weights * sinkhorn(t, 3000)).sum(), t)
    torch.testing.assert_close(own, rounds, rtol=1e-10, atol=1e-13)
    (twenty,) = torch.autograd.grad((weights * sinkhorn(t, 20)).sum(), t)
    assert (own - twenty).abs().max() < 0.02 * own.abs().max()
    # No shift of a row or a column changes the matrix.
    assert own.sum(-1).abs().max() < 1e-14
    assert own.sum(-2).abs().max() < 1e-14
    few = draw(2, n, n).requires_grad_()
    assert torch.autograd.gradcheck(project_exactly, few)
    assert torch.autograd.gradgradcheck(project_exactly, few)


def test_a_gradient_of_wide_logits_is_finite() -> None:
    t = draw(200, 4, 4, scale=40).requires_grad_()
    (grad,) = torch.autograd.grad(project_exactly(t).square().sum(), t)
    assert torch.isfinite(grad).all()


def build(**fields: Any) -> RunSpec:
    return build_spec(connection={"kind": "mhc", "projection": "newton", "noise": 1.0, **fields})


@pytest.mark.parametrize("dynamic", [False, True])
def test_states_and_loss_are_those_of_plain_loops(dynamic: bool) -> None:
    assert_equal_to_reference(shake(build_stack(build(dynamic=dynamic, init="deepseek_v4"))), rtol=1e-11)


@pytest.mark.full
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_true_runs_hold_and_twenty_rounds_do_not(dtype: str) -> None:
    base: dict[str, Any] = {"depth": 6, "dtype": dtype, "width": 8, "block": {"heads": 2}, "input": {"tokens": 6}}
    spec = parse_spec({**base, "connection": {"kind": "mhc", "projection": "newton", "noise": 1.0}})
    recomputed = recompute(spec)
    checks = verify(spec, measure(spec), recomputed)
    assert failures(checks) == []
    assert {"doubly_stochastic", "norm_bound"} <= {check.name for check in checks}
    rounds = parse_spec({**base, "connection": {"kind": "mhc", "noise": 1.0}})
    assert failures(verify(spec, measure(rounds), recomputed))


def test_fields_and_ids() -> None:
    assert parse_spec({"connection": {"projection": "sinkhorn"}}).id == parse_spec({}).id
    exact = [parse_spec({"connection": {"projection": "newton", "sinkhorn_iters": rounds}}) for rounds in (1, 20)]
    assert exact[0].id == exact[1].id != parse_spec({}).id
    assert "sinkhorn_iters" not in exact[0].canonical()["connection"]
    lite = [parse_spec({"connection": {"kind": "mhc_lite", "projection": given}}) for given in ("sinkhorn", "newton")]
    assert lite[0].id == lite[1].id
    assert (exact[0].family.columns, exact[0].family.norm_bounded, exact[0].family.iterates) == ("exact", True, False)
