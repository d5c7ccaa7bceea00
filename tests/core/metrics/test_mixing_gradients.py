"""What reaches the parameters of H_res: against plain autograd, closed forms, and the two ways of not reaching them."""

import re
from typing import Any

import numpy as np
import pytest
import torch

from mhc_core.findings import summarise
from mhc_core.layers.connections import Mixing
from mhc_core.measure.passes import measure as measure_stack
from mhc_core.measure.run import run
from mhc_core.record.result import Result
from mhc_core.spec import RunSpec
from mhc_core.stack import Stack, build_stack
from tests.core.conftest import CONNECTIONS, build_spec, measure, select_connections

WITH_LOGITS = select_connections(lambda family: family.drawn == "logits" and family.keeps_sums)


def gradients_by_autograd(stack: Stack) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """d loss / d H_res summed over samples, and d loss / d logits, of every layer, through the whole stack at once."""
    state, static, used = stack.embed(), stack.connection.static_mixing(), []
    for layer in range(stack.spec.depth):
        if static is None:
            mixing = stack.connection.dynamic_mixing(layer, state)
        else:
            mixing = Mixing(*(part[layer] for part in static))
        mixing = mixing._replace(h_res=mixing.h_res * 1.0)
        mixing.h_res.retain_grad()
        used.append(mixing.h_res)
        state = stack.layer(layer, state, mixing).state
    stack.loss(state).backward()
    at_h_res = [h.grad.numpy().reshape(-1, *h.shape[-2:]).sum(0) for h in used if h.grad is not None]
    named = dict(stack.connection.named_parameters())
    if "b_res" in named:
        return at_h_res, list(named["b_res"].grad.numpy())  # type: ignore[union-attr]
    return at_h_res, [named[f"mixers.{k}.b_res"].grad.numpy() for k in range(len(used))]  # type: ignore[union-attr]


@pytest.mark.sample(4)
@pytest.mark.parametrize("name", WITH_LOGITS)
def test_signal_and_share_are_ratios_of_autograds_gradients(name: str) -> None:
    spec = build_spec(depth=5, connection={**CONNECTIONS[name], "noise": 0.6})
    result, stack = measure(spec), build_stack(spec)
    at_h_res, at_logits = gradients_by_autograd(stack)
    centre = np.eye(4) - 1 / 4
    for layer in range(5):
        whole = np.linalg.norm(at_h_res[layer])
        followed = np.linalg.norm(centre @ at_h_res[layer] @ centre)
        assert result.layers["mixing_signal"][layer] == pytest.approx(followed / whole, rel=1e-8, abs=1e-13)
        share = result.layers["mixing_grad_share"][layer]
        if not np.isnan(share):
            assert share == pytest.approx(np.linalg.norm(at_logits[layer]) / followed, rel=1e-8)
        else:
            assert followed < 1e-12 * whole


def collect(stack: Stack) -> Result:
    """The result of a stack that no spec describes."""
    result = Result()
    result.add(next(iter(run(stack.spec))))
    for frame in measure_stack(stack, torch.device("cpu")):
        result.add(frame)
    result.add(summarise(stack.spec, result))
    return result


def apart(spec: RunSpec) -> Stack:
    """The spec's stack with streams written differently, so that they differ, and read differently, so that it matters.

    With H_post alone the gradient at all streams stays the same, and no mixing of them changes the loss.
    """
    stack = build_stack(spec)
    with torch.no_grad():
        for name in ("b_pre", "b_post"):
            stack.connection.get_parameter(name).add_(torch.linspace(-1, 1, spec.streams))
    return stack


def keys(result: Result) -> set[str]:
    return {finding.key for finding in result.summary.findings}


@pytest.mark.sample(4)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("connection", [{"noise": 0.0}, {"noise": 0.3}, {"init": "megatron"}, {"init": "lucidrains"}])
def test_identical_streams_give_no_signal_and_no_share(connection: dict[str, Any], dtype: str) -> None:
    result = measure(build_spec(depth=16, width=32, dtype=dtype, connection=connection))
    assert result.layers["mixing_signal"].max() < (1e-4 if dtype == "float32" else 1e-12)
    assert np.isnan(result.layers["mixing_grad_share"]).all()
    assert "symmetry" in keys(result)
    assert "frozen" not in keys(result)


def read_share(text: str) -> float:
    """The share that a sentence gives in per cent, as people write it: 0.807 or 5.5×10⁻⁴."""
    found = re.search(r"lets through ([0-9.]+)(?:×10([⁻⁰¹²³⁴⁵⁶⁷⁸⁹]+))? %", text)
    assert found is not None, text
    power = (found[2] or "⁰").translate(str.maketrans("⁻⁰¹²³⁴⁵⁶⁷⁸⁹", "-0123456789"))
    return float(found[1]) * 10.0 ** int(power) / 100


@pytest.mark.full
@pytest.mark.parametrize(("kind", "most"), [("kromhc", 5), ("mhc_lite", 30), ("mhc", 100)])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_near_the_identity_streams_apart_leave_mixing_frozen(dtype: str, kind: str, most: int) -> None:
    """Logits 8 apart: an off-diagonal weight p moves by about p a unit of its logit, p = e^-8 = 3.4e-4.

    The logit of mhc_lite's identity stands against 23 others, which adds up to n! p.
    Twenty Sinkhorn rounds are far from converged there, so that a part of the gradient leaks through that an exactly
    doubly stochastic matrix could not follow.
    """
    connection = {"kind": kind, "init": "residual", "noise": 0.0}
    result = collect(apart(build_spec(depth=16, width=32, dtype=dtype, connection=connection)))
    share = result.layers["mixing_grad_share"][1:-1]
    assert (result.layers["mixing_signal"][1:-1] > 1e-3).all()
    assert ((0.1 * np.exp(-8) < share) & (share < most * np.exp(-8))).all()
    assert "symmetry" not in keys(result)
    (finding,) = (found for found in result.summary.findings if found.key == "frozen")
    assert finding.numbers["share_median"] == pytest.approx(np.nanmedian(share), rel=0.2)
    assert read_share(finding.text) == pytest.approx(finding.numbers["share_median"], rel=0.01)


def test_at_the_uniform_matrix_a_share_of_1_over_n_gets_through() -> None:
    """There the Jacobian of Sinkhorn is C G C / n."""
    result = collect(apart(build_spec(depth=6, connection={"init": "megatron", "noise": 0.0})))
    np.testing.assert_allclose(result.layers["mixing_grad_share"][1:-1], 1 / 4, rtol=1e-10)
    assert not {"symmetry", "frozen"} & keys(result)


@pytest.mark.full
@pytest.mark.parametrize(
    ("connection", "frozen"),
    [
        ({"init": "mhc_lite"}, True),
        ({"kind": "kromhc", "init": "mhc_lite"}, True),
        ({"init": "megatron", "dynamic": True}, False),
        ({"init": "deepseek_v4", "dynamic": True}, False),
        ({"kind": "hc"}, False),
        ({"kind": "identity_hc", "init": "mhc_lite"}, False),
    ],
)
def test_frozen_is_told_where_logits_are_saturated(connection: dict[str, Any], frozen: bool) -> None:
    result = measure(build_spec(depth=12, connection={"noise": 0.3, **connection}))
    assert ("frozen" in keys(result)) == frozen


def test_a_step_against_the_gradient_moves_frozen_mixing_by_next_to_nothing() -> None:
    """The claim itself: one step of gradient descent of the same size, from both starts."""
    moved = {}
    for init in ("residual", "megatron"):
        stack = apart(build_spec(depth=8, connection={"init": init, "noise": 0.0}))
        before = stack.connection.static_mixing()
        stack().backward()
        with torch.no_grad():
            logits = stack.connection.get_parameter("b_res")
            assert logits.grad is not None
            logits.sub_(0.1 * logits.grad)
        after = stack.connection.static_mixing()
        assert before is not None
        assert after is not None
        moved[init] = (after.h_res - before.h_res).abs().max().item()
    assert moved["residual"] < 1e-3 * moved["megatron"]
