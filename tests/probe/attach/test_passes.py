"""Run a model in many ways while it is recorded: recomputation, accumulation, autocast, masks, compilation."""

from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

from mhc_core.spec import SpecError
from mhc_probe import attach
from tests.probe.attach.attachable import IDS
from tests.probe.attach.recorded import BOTH, EITHER, assert_same, build, feed, go, keep, record_pass
from tests.probe.attach.zoo import WIDTH

pytestmark = pytest.mark.full


@BOTH
@pytest.mark.parametrize("reentrant", [False, True])
def test_recomputed_layers_count_once_and_in_their_order(name: str, reentrant: bool) -> None:
    plain = record_pass(build(name), go)
    model = build(name)
    model.train()
    for block in model.model.layers:
        block.gradient_checkpointing = True
        block._gradient_checkpointing_func = partial(checkpoint, use_reentrant=reentrant)
    calls: list[torch.Tensor] = []
    model.model.layers[0].input_layernorm.register_forward_hook(partial(keep, calls))
    found = record_pass(model, go)
    assert len(calls) == 2
    assert_same(found, plain)


def test_checkpoints_within_a_layer_count_once() -> None:
    class Block(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.linear = nn.Linear(WIDTH, WIDTH)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x + torch.tanh(self.linear(x))

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            torch.manual_seed(0)
            self.blocks = nn.ModuleList(Block() for _ in range(4))

        def forward(self, x: torch.Tensor, recompute: bool) -> torch.Tensor:
            for pair in (self.blocks[:2], self.blocks[2:]):  # two layers a segment
                run = nn.Sequential(*pair)
                x = checkpoint(run, x, use_reentrant=True) if recompute else run(x)
            return x.square().mean()

    x = torch.randn(3, WIDTH, requires_grad=True)
    plain = record_pass(Net(), lambda model: model(x, False).backward())
    assert_same(record_pass(Net(), lambda model: model(x, True).backward()), plain)


@BOTH
def test_accumulated_passes_are_one_over_all_their_samples(name: str) -> None:
    """Halves of a batch, each with half its loss, are the batch: by samples, loss and the gradients' sum."""
    model = build(name).eval()

    def accumulate(model: Any) -> None:
        for half in IDS.split(1):
            (feed(model, half) / 2).backward()

    whole = record_pass(model, go)
    model.zero_grad()
    halves = record_pass(model, accumulate)
    assert_same(halves, whole, 1e-5)
    assert halves.loss == pytest.approx(whole.loss, rel=1e-6)


def test_gradients_from_before_are_left_out_and_zeroing_them_within_is_too() -> None:
    model = build("Llama")
    plain = record_pass(model, go)
    again = record_pass(model, go)  # gradients of the first pass are still there

    def zero_and_go(model: Any) -> None:
        model.zero_grad()
        go(model)

    assert_same(again, plain, 1e-5)
    assert_same(record_pass(model, zero_and_go), plain)


@EITHER
def test_a_second_call_of_a_layer_within_a_pass_counts_once(name: str) -> None:
    """As mixed precision beside float32 does it: the layers run twice before one loss."""
    model = build(name)
    plain = record_pass(model, go)

    class Twice(nn.Module):
        def __init__(self, inner: Any) -> None:
            super().__init__()
            self.inner = inner

        def forward(self) -> torch.Tensor:
            loss = feed(self.inner)
            with torch.no_grad():
                feed(self.inner)
            return loss

    model.zero_grad()
    found = record_pass(Twice(model), lambda twice: twice().backward())
    assert_same(found, plain)
    assert found.loss == pytest.approx(plain.loss)


@BOTH
def test_under_autocast_states_and_mixing_are_as_in_float32_but_for_rounding(name: str) -> None:
    plain = record_pass(build(name), go)

    def run(model: Any) -> None:
        with torch.autocast("cpu", torch.bfloat16):
            loss = feed(model)
        loss.backward()

    def wrap(model: Any) -> None:  # as trainers do: autocast within the model's call
        model.forward = torch.autocast("cpu", torch.bfloat16)(model.forward)
        go(model)

    for way in (run, wrap):
        found = record_pass(build(name), way)
        assert_same(found, plain, 0.05, ("act_rms", "branch_in_rms"))
        assert np.isfinite(found.layers["grad_rms"]).all()


@EITHER
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_weights(name: str, dtype: torch.dtype) -> None:
    plain = record_pass(build(name), go)
    found = record_pass(build(name).to(dtype), go)
    assert_same(found, plain, 0.05, ("act_rms", "branch_in_rms"))
    assert np.isfinite(found.layers["grad_rms"]).all()


@EITHER
def test_without_a_graph_the_first_pass_is_heard(name: str) -> None:
    model = build(name).eval()
    plain = record_pass(model, feed)

    def run(model: Any) -> None:
        with torch.no_grad():
            feed(model)
            feed(model, IDS.flip(1))

    found = record_pass(model, run)
    assert_same(found, plain, keys=("act_rms", "branch_in_rms", "branch_out_rms"))
    assert found.loss == pytest.approx(plain.loss)
    assert "grad_rms" not in found.layers


@EITHER
def test_generation_is_heard_by_its_first_pass(name: str) -> None:
    model = build(name).eval()

    def first(model: Any) -> None:
        with torch.no_grad():
            model(input_ids=IDS)

    def generate(model: Any) -> None:
        model.generate(input_ids=IDS, attention_mask=torch.ones_like(IDS), max_new_tokens=3, do_sample=False)

    assert_same(
        record_pass(model, generate), record_pass(model, first), keys=("act_rms", "branch_in_rms", "branch_out_rms")
    )


@EITHER
def test_frozen_parts_take_no_gradient(name: str) -> None:
    model = build(name)
    for part in (model.model.embed_tokens, model.model.layers[0]):
        part.requires_grad_(False)
    found = record_pass(model, go)
    frozen = found.depth // len(model.model.layers)
    assert np.isnan(found.layers["grad_rms"][: frozen - 1]).all()
    assert np.isfinite(found.layers["grad_rms"][frozen:]).all()
    assert (found.layers["param_grad_norm"][frozen:] > 0).all()
    assert np.isfinite(found.layers["composite_gain_bwd"]).all()
    if name == "Llama":  # no graph at the first layer, and still its skip is told
        np.testing.assert_array_equal(found.matrices["h_res"], 1)


@BOTH
@pytest.mark.parametrize("left", [False, True])
def test_padding_is_left_out_by_the_mask(name: str, left: bool) -> None:
    """Of two texts the shorter is padded: its padding is in no state that is measured."""
    model = build(name).eval()
    short, long = IDS[:1, :8], IDS[1:]
    padding = torch.zeros(1, 4, dtype=torch.long)
    padded = torch.cat([torch.cat([padding, short] if left else [short, padding], 1), long])
    mask = torch.ones_like(padded)
    mask[0, slice(0, 4) if left else slice(8, 12)] = 0

    def run(model: Any) -> None:
        with torch.no_grad():
            model(input_ids=padded, attention_mask=mask)

    found = record_pass(model, run)
    states: list[torch.Tensor] = []
    handles = [block.register_forward_hook(partial(keep, states)) for block in model.model.layers]
    run(model)
    for handle in handles:
        handle.remove()
    step = found.depth // len(states)
    for place, state in enumerate(states):
        rows = (state if name == "Llama" else state.mean(2))[mask.bool()]
        wanted = rows.double().square().mean().sqrt()
        assert found.layers["act_rms"][step * (place + 1) - 1] == pytest.approx(float(wanted), rel=1e-6)


@pytest.mark.parametrize("batch_first", [False, True])
def test_torchs_padding_mask_and_batches_on_either_axis(batch_first: bool) -> None:
    torch.manual_seed(0)
    layer = nn.TransformerEncoderLayer(WIDTH, 2, 48, dropout=0.0, batch_first=batch_first, norm_first=True)
    model = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
    x, drop = torch.randn(3, 3, WIDTH), torch.zeros(3, 3, dtype=torch.bool)
    drop[0, 2] = drop[2, 1] = True
    fed = (x if batch_first else x.transpose(0, 1)).requires_grad_()
    with attach(model) as probe:
        model(fed, src_key_padding_mask=drop).sum().backward()
    wanted = x[~drop].double().square().mean().sqrt()
    assert probe.result().input["act_rms"] == pytest.approx(float(wanted.detach()), rel=1e-6)


def test_a_part_of_a_model_that_is_called_by_itself() -> None:
    model = build("Llama")

    def run(model: Any) -> None:
        model.model(input_ids=IDS).last_hidden_state.square().mean().backward()

    found, inner = record_pass(model, run), record_pass(model.model, lambda inner: run(model))
    assert_same(found, inner, 1e-5)
    assert np.isnan(found.loss)


def test_a_mask_that_fits_no_state_is_refused() -> None:
    model = build("Llama")
    embedded = model.model.embed_tokens(IDS)

    class Prefixed(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = model

        def forward(self, attention_mask: torch.Tensor) -> Any:
            return self.inner(inputs_embeds=embedded).logits

    with attach(Prefixed()) as probe:
        probe.model(attention_mask=torch.ones(2, 5))
    with pytest.raises(SpecError, match="attention_mask"):
        probe.result()
