"""The probe on residual models: by their layers, frozen ones, and what it refuses."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest
import torch

from mhc_core.spec import SpecError
from mhc_probe import attach
from tests.probe.attach.attachable import (
    IDS,
    Block,
    Chain,
    norm,
    rms,
)


@pytest.mark.parametrize("in_place", [False, True])
def test_a_residual_model_by_its_layers(in_place: bool) -> None:
    with attach(model := Chain(in_place), layers=model.blocks) as probe:
        out = model()
        out.square().sum().backward()
    result = probe.result()
    x = 1.0 * model.embed(IDS).detach()
    for layer, block in enumerate(model.blocks):
        assert isinstance(block, Block)
        assert block.u.grad is not None
        assert result.layers["branch_in_rms"][layer] == pytest.approx(rms(x), rel=1e-5)
        assert result.layers["branch_out_rms"][layer] == pytest.approx(rms(block.y.detach()), rel=1e-4)
        x = x + block.y.detach()
        assert result.layers["act_rms"][layer] == pytest.approx(rms(x), rel=1e-5)
        assert result.layers["branch_grad_rms"][layer] == pytest.approx(rms(block.u.grad), rel=1e-4)
        assert result.layers["param_grad_norm"][layer] == pytest.approx(norm(block.parameters()), rel=1e-5)
    assert result.layers["grad_rms"][-1] == pytest.approx(rms(2 * out.detach()), rel=1e-5)
    np.testing.assert_array_equal(result.layers["composite_gain_fwd"], 1)
    assert np.isnan(result.loss)  # the model returns none


def test_frozen_layers_take_no_gradient_and_the_others_do() -> None:
    model = Chain(False)
    model.embed.requires_grad_(False)
    model.blocks[0].requires_grad_(False)
    model.blocks[2].requires_grad_(False)
    for block in model.blocks:  # nothing to keep where nothing flows
        block.forward = lambda x, block=block: (x + torch.tanh(block.linear(x)), "")
    with attach(model, layers=model.blocks) as probe:
        model().square().sum().backward()
    result = probe.result()
    assert np.isnan(result.layers["grad_rms"]).tolist() == [True, False, False, False]
    assert np.isnan(result.layers["branch_grad_rms"]).tolist() == [True, True, False, False]
    assert result.layers["param_grad_norm"][2] == 0
    assert (result.layers["param_grad_norm"][[1, 3]] > 0).all()


@contextmanager
def attached(layers: bool = True) -> Iterator[tuple[Any, Any]]:
    model = Chain(False)
    with attach(model, layers=model.blocks) as probe:
        yield model, probe


def test_without_a_backward_pass_there_are_no_gradients() -> None:
    with attached() as (model, probe):
        out = model()
    out.sum().backward()  # outside: not recorded
    result = probe.result()
    assert "grad_rms" not in result.layers
    assert np.isfinite(result.layers["act_rms"]).all()


@pytest.mark.full
def test_without_a_graph_the_forward_pass_is_heard() -> None:
    with attached() as (model, probe), torch.no_grad():
        for block in model.blocks:
            block.forward = lambda x, block=block: (x + torch.tanh(block.linear(x)), "")
        model()
    assert np.isfinite(probe.result().layers["act_rms"]).all()


@pytest.mark.full
def test_a_second_backward_pass_is_refused_and_no_pass_is_no_result() -> None:
    with attached() as (model, probe):
        with pytest.raises(RuntimeError, match="no complete forward pass"):
            probe.result()
        out = model()
        out.sum().backward(retain_graph=True)
        with pytest.raises(RuntimeError, match="second backward pass"):
            out.sum().backward()
    model()  # the hooks are gone


def test_a_model_without_a_list_of_layers_is_refused_by_name() -> None:
    with pytest.raises(SpecError, match="Linear, without a list"):
        attach(torch.nn.Linear(2, 2))
