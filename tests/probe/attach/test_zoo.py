"""The probe on 24 architectures, each compared with hooks written here, and against itself without the probe."""

import re
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import pytest
import torch

from mhc_core.record.result import Result
from mhc_core.spec import SpecError
from mhc_probe import attach
from mhc_probe.attachment import Attachment
from tests.conftest import ROOT
from tests.probe.attach.animals import Animal
from tests.probe.attach.zoo import ZOO

pytestmark = pytest.mark.full

TOLERANCE = 1e-6
UNCHANGED = "unchanged: nothing is mixed"
FAST = ("DeepSeek-V4", "GPT-2", "TransformerEncoder", "ConvNeXt", "hyper-connections HC", "BERT", "Mamba")
NAMES = [pytest.param(name, marks=[] if name in FAST else pytest.mark.full) for name in ZOO]


class HandRead:
    """States before and after every layer, and their gradients, kept by autograd on the tensors themselves."""

    def __init__(self, animal: Animal, model: Any) -> None:
        self.before: list[torch.Tensor] = []
        self.after: list[torch.Tensor] = []
        layers = list(animal.layers(model))
        handles = [layer.register_forward_pre_hook(self._keep_before, with_kwargs=True) for layer in layers]
        ends = layers if animal.end is None else [animal.end(model)]
        handles += [layer.register_forward_hook(self._keep_after) for layer in ends]
        self.loss = animal.feed(model)
        self.loss.backward()
        for handle in handles:
            handle.remove()
        if animal.end is not None:
            self.after = [*self.before[1:], *self.after]

    def _keep_before(self, module: Any, args: Any, kwargs: Any) -> None:
        state = args[0] if args else kwargs["hidden_states"]
        state.retain_grad()
        self.before.append(state)

    def _keep_after(self, module: Any, args: Any, output: Any) -> None:
        state = output[0] if isinstance(output, tuple) else output
        state.retain_grad()
        self.after.append(state)


@cache
def build(name: str) -> Any:
    return ZOO[name].build()


def get_model(name: str) -> Any:
    """Built once for all tests."""
    model = build(name)
    model.zero_grad(set_to_none=True)
    return model


def attach_as_said(animal: Animal, model: Any) -> Attachment:
    """By itself, or with the layers that the refusal proposes, taken at its word."""
    if animal.refusal is None:
        return attach(model)
    with pytest.raises(SpecError, match=animal.refusal) as refusal:
        attach(model)
    proposal = str(refusal.value).rpartition("try ")[2]
    assert proposal == animal.proposal
    return attach(model, layers=eval(proposal.removeprefix("layers="), {"model": model}))


@cache
def record_once(name: str) -> Result:
    """What the probe says of a model; recorded once for all tests."""
    return record_pass(ZOO[name], get_model(name))


def record_pass(animal: Animal, model: Any) -> Result:
    torch.manual_seed(3)
    with attach_as_said(animal, model) as probe:
        animal.feed(model).backward()
    return probe.result()


def to_rms(x: torch.Tensor) -> float:
    return float(x.detach().double().square().mean().sqrt())


@pytest.mark.parametrize("name", NAMES)
def test_states_and_gradients_are_those_that_hooks_of_ours_read(name: str) -> None:
    animal, model = ZOO[name], get_model(name)
    result = record_once(name)
    model.zero_grad(set_to_none=True)
    torch.manual_seed(3)
    read = HandRead(animal, model)
    assert result.streams == animal.streams
    assert result.depth == len(read.after)
    for layer, state in enumerate(read.after):
        assert state.grad is not None
        x_n, g_n = animal.to_streams(state), animal.to_streams(state.grad)
        assert result.layers["act_rms"][layer] == pytest.approx(to_rms(x_n.mean(0)), rel=TOLERANCE)
        assert result.layers["grad_rms"][layer] == pytest.approx(to_rms(g_n.double().sum(0)), rel=TOLERANCE)
        for key, parts in (("act_rms_streams", x_n), ("grad_rms_streams", g_n)):
            np.testing.assert_allclose(result.layers[key][layer], [to_rms(part) for part in parts], rtol=TOLERANCE)
    assert result.input["act_rms"] == pytest.approx(to_rms(animal.to_streams(read.before[0]).mean(0)), rel=TOLERANCE)


@pytest.mark.parametrize("name", NAMES)
def test_nothing_false_is_said_of_the_way_past_the_layers(name: str) -> None:
    """A gain of 1 only where the state passes by additions alone; else none is known."""
    animal = ZOO[name]
    result = record_once(name)
    texts = {finding.key: finding.text for finding in result.summary.findings}
    h_res = result.matrices["h_res"]
    if animal.skip is None:
        assert np.isnan(h_res).all()
        assert np.isnan(result.layers["branch_out_rms"]).all()
        assert UNCHANGED not in texts["connection"]
        assert result.summary.headline.text == "gain unknown"
    elif animal.streams == 1:
        np.testing.assert_array_equal(h_res, animal.skip)
        assert UNCHANGED in texts["connection"]
    else:
        assert np.isfinite(h_res).all()
        assert np.isfinite(result.matrices["h_post"]).all()
        mixes = name not in ("HY-V4", "Qwen4-Exp")
        assert mixes == bool(np.abs(h_res - np.eye(animal.streams)).max() > 0.01)
        assert (UNCHANGED in texts["connection"]) != mixes
        weighs_channels = name == "Qwen4-Exp"
        assert np.isnan(result.matrices["h_pre"]).all() == weighs_channels
        assert texts.get("reading", "").startswith("In no layer is H_pre known") == weighs_channels


@pytest.mark.parametrize("name", NAMES)
def test_outputs_and_gradients_are_the_same_bits(name: str) -> None:
    animal, model = ZOO[name], get_model(name)
    alone = measure(animal, model, lambda: animal.feed(model))
    watched = measure(animal, model, lambda: hear_loss(animal, model))
    assert alone.keys() == watched.keys()
    assert len(alone) > 5
    for key, value in alone.items():
        assert torch.equal(value, watched[key]), key


def hear_loss(animal: Animal, model: Any) -> torch.Tensor:
    with attach_as_said(animal, model) as probe:
        loss = animal.feed(model)
        loss.backward()
    probe.result()
    return loss


def measure(animal: Animal, model: Any, run: Callable[[], torch.Tensor]) -> dict[str, torch.Tensor]:
    """The loss, every gradient, and buffers as the pass leaves them."""
    buffers = {name: buffer.clone() for name, buffer in model.named_buffers()}
    model.zero_grad(set_to_none=True)
    torch.manual_seed(3)
    loss = run()
    if all(parameter.grad is None for parameter in model.parameters()):
        loss.backward()
    found = {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}
    found |= {f"buffer {name}": buffer.clone() for name, buffer in model.named_buffers()}
    for name, buffer in model.named_buffers():
        buffer.copy_(buffers[name])
    return found | {"loss": loss.detach()}


def test_the_table_of_models_says_how_each_is_found() -> None:
    text = (ROOT / "docs" / "models.md").read_text()
    rows = {
        cells[0]: cells for cells in re.findall(r"^\| (.+?) \| (.+?) \| (.+?) \| (\d) \| (.+?) \|", text, re.MULTILINE)
    }
    assert rows.keys() == ZOO.keys()
    assert len(rows) == 24
    for name, animal in ZOO.items():
        _, _, found, streams, past = rows[name]
        assert found == ("automatically" if animal.proposal is None else f"`{animal.proposal}`")
        assert int(streams) == animal.streams
        assert (past == "not known") == (animal.skip is None)
