"""Layers that read with the H_pre of the layer before them: values, gradients, start and output."""

import itertools
from typing import Any

import numpy as np
import pytest
import torch

from mhc_core.checks.recomputation import recompute
from mhc_core.checks.verification import verify
from mhc_core.layers.connections import PassedMixing
from mhc_core.measure.run import run
from mhc_core.spec import RunSpec, parse_spec
from mhc_core.stack import build_stack
from tests.core.conftest import SMALL, build_spec, collect, measure, shake
from tests.core.reference import trace
from tests.core.test_forward import assert_equal_to_reference

KINDS = [("mhc", "deepseek_v4"), ("mhc", "mhc_lite"), ("kromhc", "lucidrains"), ("circulant", "residual")]


def build(kind: str = "mhc", init: str = "deepseek_v4", dynamic: bool = False, **fields: Any) -> RunSpec:
    connection = {"kind": kind, "init": init, "dynamic": dynamic, "read_from": "previous", "noise": 1.0}
    return build_spec(connection=connection, **fields)


@pytest.mark.sample(4)
@pytest.mark.parametrize("dynamic", [False, True])
@pytest.mark.parametrize(("kind", "init"), KINDS)
def test_states_and_loss_are_those_of_plain_loops(kind: str, init: str, dynamic: bool) -> None:
    assert_equal_to_reference(shake(build_stack(build(kind, init, dynamic))))
    edits = [
        {"layers": [1, 1], "what": "stream", "index": 2, "do": "zero"},
        {"layers": [2, 2], "what": "state", "do": "noise", "value": 0.5},
        {"layers": [2, 3], "what": "h_pre", "do": "mean"},
    ]
    stack = shake(build_stack(build(kind, init, dynamic, edits=edits)))
    assert stack().item() == pytest.approx(trace(stack).loss, rel=1e-12)


@pytest.mark.full
@pytest.mark.parametrize("dynamic", [False, True])
def test_gradients_are_those_of_differences_of_the_plain_loops(dynamic: bool) -> None:
    """Every mixing parameter moved along a random direction, by a central difference of the loss in numpy."""
    stack = shake(build_stack(build(dynamic=dynamic, block={"kind": "mlp", "activation": "tanh"})))
    stack().backward()
    generator = torch.Generator().manual_seed(3)
    for name, parameter in stack.connection.named_parameters():
        assert parameter.grad is not None, name
        direction = torch.randn(parameter.shape, generator=generator, dtype=parameter.dtype)
        losses = []
        for step in (1e-5, -1e-5):
            with torch.no_grad():
                parameter.add_(step * direction)
                losses.append(trace(stack).loss)
                parameter.sub_(step * direction)
        slope = (losses[0] - losses[1]) / 2e-5
        assert (parameter.grad * direction).sum().item() == pytest.approx(slope, rel=1e-6, abs=1e-9), name


def find_input_gradient(stack: Any) -> Any:
    """The gradient at the embedding, by autograd alone."""
    x = stack.input().flatten(0, 1).detach().requires_grad_()
    state = stack.connection.expand(x)
    stack.loss(stack.run_layers(state)[0]).backward()
    return x.grad


@pytest.mark.parametrize("dynamic", [False, True])
def test_the_layer_by_layer_pass_has_the_gradients_of_plain_autograd(dynamic: bool) -> None:
    """Also those that reach parameters through the next layer's read, and the last one's through the output."""
    spec = build(dynamic=dynamic)
    result = measure(spec)
    stack: Any = build_stack(spec)
    grad = find_input_gradient(stack)
    assert result.input is not None
    assert result.input["grad_rms"] == pytest.approx(grad.square().mean().sqrt().item(), rel=1e-12)
    for layer in range(spec.depth):
        own = stack.connection.layer_parameters(layer)
        grads = [p.grad for p in own] if dynamic else [p.grad[layer] for p in stack.connection.stacked_parameters()]
        norm = torch.stack([g.norm() for g in grads if g is not None]).norm().item()
        assert result.layers["mixing_grad_norm"][layer] == pytest.approx(norm, rel=1e-11)
    reads = stack.connection.mixers[-1].b_pre.grad if dynamic else stack.connection.b_pre.grad[-1]
    assert reads.abs().max() > 0  # through the output alone


@pytest.mark.parametrize("dynamic", [False, True])
def test_static_reads_are_the_own_ones_one_layer_later(dynamic: bool) -> None:
    own = {"kind": "mhc", "init": "mhc_lite", "dynamic": dynamic}
    shifted = measure(build_spec(connection={**own, "read_from": "previous"}, depth=6)).matrices
    plain = measure(build_spec(connection=own, depth=6)).matrices
    assert shifted["h_pre"][0].tolist() == [1, 0, 0, 0]
    np.testing.assert_allclose(shifted["h_pre"][1:], plain["h_pre"][:-1], rtol=1e-12)
    np.testing.assert_allclose(shifted["h_res"], plain["h_res"], rtol=1e-12)


def test_at_its_start_it_is_the_residual_network() -> None:
    """H_pre sums to 1 under init residual, so that streams that are alike are read as one; H_post is 1."""
    parts: dict[str, Any] = {"block": {"norm_position": "none", "branch_scale": 0.3}}
    for dynamic in (False, True):
        connection = {"kind": "mhc", "init": "residual", "dynamic": dynamic, "noise": 0.0, "read_from": "previous"}
        loss = build_stack(build_spec(connection=connection, **parts))().item()
        assert loss == pytest.approx(
            build_stack(build_spec(connection={"kind": "residual"}, **parts))().item(), rel=1e-12
        )


def test_a_layer_passes_on_what_it_has_made_of_the_state_that_enters_it() -> None:
    stack = shake(build_stack(build(dynamic=True)))
    outputs: list[Any] = []
    stack.run_layers(stack.embed(), lambda layer, output: outputs.append(output))
    for output, after in itertools.pairwise(outputs):
        assert isinstance(output.mixing, PassedMixing)
        torch.testing.assert_close(after.mixing.h_pre, output.mixing.h_next, rtol=0, atol=0)
    last = outputs[-1]
    read = torch.einsum("Nn,nNc->Nc", last.mixing.h_next, stack.connection.streams(last.state))
    torch.testing.assert_close(stack.connection.reduce(last.state), read, rtol=1e-13, atol=1e-13)


@pytest.mark.sample(4)
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("dynamic", [False, True])
def test_true_runs_hold_and_a_read_of_the_wrong_layer_does_not(
    dynamic: bool, dtype: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = build(dynamic=dynamic, dtype=dtype)
    recomputed = recompute(spec)
    assert [check for check in verify(spec, measure(spec), recomputed) if check.verdict == "fails"] == []
    own = build_spec(connection={"kind": "mhc", "init": "deepseek_v4", "dynamic": dynamic, "noise": 1.0}, dtype=dtype)
    wrong = collect(list(run(own)))
    assert any(check.verdict == "fails" for check in verify(spec, wrong, recomputed))


def test_fields_and_ids() -> None:
    """The field belongs to families with a map; where it is previous there is no read-out to choose."""
    assert parse_spec({"connection": {"read_from": "own"}}).id == parse_spec({}).id
    assert parse_spec({"connection": {"read_from": "previous"}}).id != parse_spec({}).id
    hc = [
        parse_spec({"connection": {"kind": "hc", "read_from": given, "output": "sum"}}) for given in ("own", "previous")
    ]
    assert hc[0].id == hc[1].id
    assert hc[1].canonical()["connection"]["output"] == hc[1].output == "sum"
    previous = [
        parse_spec({"connection": {"read_from": "previous", "output": output, "init": "deepseek_v4"}})
        for output in ("auto", "sum", "head")
    ]
    assert len({spec.id for spec in previous}) == 1
    assert {spec.output for spec in previous} == {"read"}
    assert "output" not in previous[0].canonical()["connection"]


def test_it_has_no_parameters_of_its_own() -> None:
    for dynamic in (False, True):
        connection = {"kind": "mhc", "init": "residual", "dynamic": dynamic}
        counts = {
            sum(
                p.numel()
                for p in build_stack(
                    parse_spec({**SMALL, "connection": {**connection, "read_from": given}})
                ).parameters()
            )
            for given in ("own", "previous")
        }
        assert len(counts) == 1
