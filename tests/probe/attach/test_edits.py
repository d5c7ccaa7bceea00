"""Edits of models from elsewhere, compared with passes that are written out in `edited.py` and with edited weights."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Sequence
from functools import cache, partial
from typing import Any

import numpy as np
import pytest
import torch
from torch.utils.checkpoint import checkpoint

from mhc_core.record import container
from mhc_core.record.result import Result
from mhc_core.record.source import TraceSource
from mhc_core.record.start import StartFrame
from mhc_core.spec import SpecError, SpecErrors
from mhc_probe import attach
from tests.probe.attach import recorded
from tests.probe.attach.animals import draw_ids
from tests.probe.attach.attachable import IDS
from tests.probe.attach.edited import CASES, Hand

TOLERANCE = 1e-6
FAST = {
    "DeepSeek-V4": ("row of H_res", "H_pre swapped"),
    "hyper-connections HC": ("stream mean", "row of H_res", "entry of H_post", "branch 0"),
    "GPT-2": ("branch 0", "branch scaled"),
}


@cache
def build(name: str) -> Any:
    """Built once: dropout is off, and the tests say that edits leave no trace."""
    return CASES[name].animal.build().eval()


def cut(x: torch.Tensor, stream: int) -> torch.Tensor:
    return torch.cat([x[..., :stream, :], torch.zeros_like(x[..., :1, :]), x[..., stream + 1 :, :]], -2)


def average(x: torch.Tensor) -> torch.Tensor:
    """Return the mean over batch and tokens in place of each."""
    return x.mean((0, 1), keepdim=True).expand_as(x)


def in_place_of(what: str, layers: tuple[int, ...], change: Callable[[torch.Tensor], torch.Tensor]) -> Hand:
    return lambda kind, layer, x: change(x) if kind == what and layer in layers else x


def set_row(matrix: torch.Tensor, row: int, values: tuple[float, ...]) -> torch.Tensor:
    changed = matrix.clone()
    changed[..., row, :] = torch.tensor(values)
    return changed


def swap(x: torch.Tensor, one: int, other: int) -> torch.Tensor:
    order = list(range(x.shape[-1]))
    order[one], order[other] = other, one
    return x[..., order]


def only_mean(x: torch.Tensor, stream: int) -> torch.Tensor:
    changed = x.clone()
    changed[..., stream, :] = average(x[..., stream, :])
    return changed


Table = dict[str, tuple[dict[str, Any], Hand]]

VALUES = (0.5, 0.25, 0.125, 0.125)
WHOLE: Table = {
    "branch 0": ({"layers": [1, 1], "what": "branch", "do": "zero"}, in_place_of("branch", (1,), torch.zeros_like)),
    "branch scaled": (
        {"layers": [0, 1], "what": "branch", "do": "scale", "value": 0.5},
        in_place_of("branch", (0, 1), lambda y: 0.5 * y),
    ),
    "branch mean": ({"layers": [2, 2], "what": "branch", "do": "mean"}, in_place_of("branch", (2,), average)),
}
STREAMS: Table = {
    "stream cut": (
        {"layers": [1, 2], "what": "stream", "index": 2, "do": "zero"},
        in_place_of("state", (1, 2), lambda x: cut(x, 2)),
    ),
    "first stream cut where it enters": (
        {"layers": [0, 0], "what": "stream", "index": 0, "do": "zero"},
        in_place_of("state", (0,), lambda x: cut(x, 0)),
    ),
    "stream mean": (
        {"layers": [1, 1], "what": "stream", "index": 1, "do": "mean"},
        in_place_of("state", (1,), lambda x: only_mean(x, 1)),
    ),
    "all streams uniform": (
        {"layers": [1, 1], "what": "state", "do": "uniform"},
        in_place_of("state", (1,), lambda x: x.mean(-2, keepdim=True).expand_as(x).contiguous()),
    ),
}
POST: Table = {
    "entry of H_post": (
        {"layers": [1, 1], "what": "h_post", "index": 3, "do": "set", "values": [0.7]},
        in_place_of("h_post", (1,), lambda h: torch.cat([h[..., :3], torch.full_like(h[..., :1], 0.7)], -1)),
    )
}
MIXING: Table = {
    "H_res identity": (
        {"layers": [0, 2], "what": "h_res", "do": "identity"},
        in_place_of("h_res", (0, 1, 2), lambda h: torch.eye(4).expand_as(h)),
    ),
    "row of H_res": (
        {"layers": [1, 1], "what": "h_res", "index": 2, "do": "set", "values": VALUES},
        in_place_of("h_res", (1,), lambda h: set_row(h, 2, VALUES)),
    ),
    "H_res mean": ({"layers": [2, 2], "what": "h_res", "do": "mean"}, in_place_of("h_res", (2,), average)),
    "H_pre swapped": (
        {"layers": [1, 1], "what": "h_pre", "index": 0, "other": 3, "do": "swap"},
        in_place_of("h_pre", (1,), lambda h: swap(h, 0, 3)),
    ),
}
EDITS: dict[str, Table] = {
    "DeepSeek-V4": WHOLE | STREAMS | POST | MIXING,
    "GLM-5-next": WHOLE | STREAMS | POST | MIXING,
    "Qwen4-Exp": WHOLE | STREAMS | POST,
    "hyper-connections HC": WHOLE | STREAMS | POST | MIXING,
    "GPT-2": WHOLE,
}


def run(name: str, model: Any) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
    """Return the loss and all gradients of one pass."""
    model.zero_grad(set_to_none=True)
    loss = CASES[name].animal.feed(model)
    loss.backward()
    return loss.detach(), {key: p.grad.clone() for key, p in model.named_parameters() if p.grad is not None}


def edit(name: str, model: Any, *edits: dict[str, Any]) -> tuple[torch.Tensor, dict[str, torch.Tensor], Result]:
    loss_of = None if CASES[name].returns_loss else lambda output: output[0].square().mean()
    with attach(model, edits=edits, loss=loss_of) as probe:
        loss, grads = run(name, model)
    return loss, grads, probe.result()


def assert_near(one: torch.Tensor, other: torch.Tensor, scale: torch.Tensor) -> None:
    assert float((one - other).double().norm()) <= TOLERANCE * float(scale.double().norm())


# Of each kind of place one edit, where another model has all of them.
PLACES = ("branch 0", "stream cut", "all streams uniform", "entry of H_post", "row of H_res", "H_pre swapped")
WANTED: dict[str, Iterable[str]] = {
    **EDITS,
    **dict.fromkeys(("GLM-5-next", "Qwen4-Exp", "hyper-connections HC"), PLACES),
}
MORE = {
    name: [label for label in WANTED[name] if label in EDITS[name] and label not in FAST.get(name, ())]
    for name in CASES
}
SETS = [
    *(pytest.param(name, labels, id=name) for name, labels in FAST.items()),
    *(pytest.param(name, labels, id=f"{name}, more", marks=pytest.mark.full) for name, labels in MORE.items()),
]


@pytest.mark.sample(3)
@pytest.mark.parametrize(("name", "labels"), SETS)
def test_edits_do_what_a_pass_written_by_hand_does(name: str, labels: Sequence[str]) -> None:
    """Loss and gradients of every edit, and behind all of them the model as it was, to the last bit."""
    model = build(name)
    before, grads_before = run(name, model)
    for label in labels:
        given, hand = EDITS[name][label]
        with CASES[name].write(model, hand):
            wanted, grads_wanted = run(name, model)
        loss, grads, result = edit(name, model, given)
        assert loss.item() == pytest.approx(wanted.item(), rel=TOLERANCE), label
        assert abs(loss - before).item() > 1e-7 * before.item(), label
        assert result.loss == pytest.approx(loss.item(), rel=1e-7)
        assert result.loss_base == pytest.approx(before.item(), rel=1e-7)
        assert grads.keys() >= grads_wanted.keys()
        whole = torch.cat([g.flatten() for g in grads_wanted.values()])
        for key, grad in grads.items():
            assert_near(grad, grads_wanted.get(key, torch.zeros_like(grad)), whole)
    after, grads_after = run(name, model)
    assert torch.equal(after, before)
    assert all(torch.equal(grad, grads_before[key]) for key, grad in grads_after.items())
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in model.modules())


def record_states(animal: Any, model: Any) -> list[torch.Tensor]:
    """Return the states behind each layer with their gradients, of a pass that is already hooked or written."""
    before: list[torch.Tensor] = []
    layers = list(animal.layers(model))
    ends = [layers[-1]] if animal.end is None else [animal.end(model)]

    def keep(state: torch.Tensor) -> None:
        state.retain_grad()
        before.append(state)

    handles = [layer.register_forward_pre_hook(lambda _, args: keep(args[0])) for layer in layers[1:]]
    handles += [end.register_forward_hook(lambda _, args, out: keep(out)) for end in ends]
    try:
        model.zero_grad(set_to_none=True)
        animal.feed(model).backward()
    finally:
        for handle in handles:
            handle.remove()
    return before


def find_distance(one: torch.Tensor | None, base: torch.Tensor | None) -> float:
    assert one is not None
    assert base is not None
    found, wanted = one.detach().double(), base.detach().double()
    return float((found - wanted).norm() / wanted.norm())


@pytest.mark.full
@pytest.mark.parametrize("name", ["DeepSeek-V4", "GPT-2"])
def test_the_effect_is_the_distance_of_states_and_gradients_loss_and_logits(name: str) -> None:
    """Of a branch that is left out; before it the states are the same."""
    animal, model = CASES[name].animal, build(name)
    given, hand = EDITS[name]["branch 0"]
    base = record_states(animal, model)
    with torch.no_grad():
        logits = model(input_ids=draw_ids()).logits
        with CASES[name].write(model, hand):
            edited_logits = model(input_ids=draw_ids()).logits
    with CASES[name].write(model, hand):
        found = record_states(animal, model)
    _, _, result = edit(name, model, given)
    states = [find_distance(one, other) for one, other in zip(found, base, strict=True)]
    gradients = [find_distance(one.grad, other.grad) for one, other in zip(found, base, strict=True)]
    assert result.layers["effect_state"][0] == 0
    np.testing.assert_allclose(result.layers["effect_state"], states, rtol=1e-4, atol=TOLERANCE)
    np.testing.assert_allclose(result.layers["effect_grad"], gradients, rtol=1e-4, atol=TOLERANCE)
    p, q = (torch.log_softmax(x.double(), -1) for x in (logits, edited_logits))
    assert result.output_kl == pytest.approx(float((p.exp() * (p - q)).sum(-1).mean()), rel=1e-4)
    assert isinstance(result.source, TraceSource)
    assert result.source.edits == [given]
    content = io.BytesIO(result.to_bytes())
    read = [frame for frame in container.read_frames(content) if isinstance(frame, StartFrame)]
    assert [frame.source for frame in read] == [result.source]
    effect = result.summary.findings[0]
    assert effect.key == "effect"
    assert effect.text == f"The branch's output is set to 0 at layer 2: {effect.statement}"
    assert str(effect.statement).startswith("the state after")


@pytest.mark.full
def test_the_mixing_is_shown_as_it_acts() -> None:
    """A cut is a column of zeros in H_pre and H_res, as in an edited run."""
    model = build("DeepSeek-V4")
    _, _, plain = edit("DeepSeek-V4", model)
    _, _, result = edit("DeepSeek-V4", model, {"layers": [2, 2], "what": "stream", "index": 1, "do": "zero"})
    assert np.isfinite(result.matrices["h_res"]).all()
    np.testing.assert_array_equal(result.matrices["h_res"][2][:, 1], 0)
    np.testing.assert_array_equal(result.matrices["h_pre"][2][1], 0)
    np.testing.assert_allclose(result.matrices["h_res"][1], plain.matrices["h_res"][1], rtol=1e-6)
    assert result.layers["effect_state"][1] == 0
    assert result.layers["effect_state"][2] > 0.01


@pytest.mark.full
@pytest.mark.parametrize("name", ["DeepSeek-V4", "hyper-connections HC"])
def test_what_is_restored_or_frozen_is_that_of_the_pass_without_edits(name: str) -> None:
    """All streams restored behind a cut undo it; of a frozen matrix nothing is left to differ."""
    model = build(name)
    before, _ = run(name, model)
    cut_one = {"layers": [1, 1], "what": "stream", "index": 2, "do": "zero"}
    loss, _, result = edit(name, model, cut_one, {"layers": [2, 2], "what": "state", "do": "restore"})
    assert loss.item() == pytest.approx(before.item(), rel=TOLERANCE)
    assert result.layers["effect_state"][1] > 0.01
    np.testing.assert_array_equal(result.layers["effect_state"][2:], 0)
    frozen = [{"layers": [2, 2], "what": what, "do": "freeze"} for what in ("h_pre", "h_post", "h_res", "branch")]
    matrices = edit(name, model, cut_one, *frozen)[2].matrices
    plain = edit(name, model)[2].matrices
    for what in ("h_pre", "h_post", "h_res"):
        np.testing.assert_allclose(matrices[what][2], plain[what][2], rtol=1e-5, atol=1e-7)
        assert np.abs(matrices[what][1] - plain[what][1]).max() > 1e-3 or what == "h_post"


# ---- plain models: branches and heads


def list_sublayers(model: Any) -> list[Any]:
    return [part for block in model.transformer.h for part in (block.attn, block.mlp)]


def feed_gpt2(model: Any) -> torch.Tensor:
    loss: torch.Tensor = model(input_ids=draw_ids(), labels=draw_ids()).loss
    return loss


@pytest.mark.full
@pytest.mark.parametrize("by", ["blocks", "sublayers"])
def test_a_head_is_cut_like_its_rows_of_the_output_projection(by: str) -> None:
    model, head = build("GPT-2"), 1
    layers, layer = (None, 2) if by == "blocks" else (list_sublayers(model), 4)
    with attach(model, layers, [{"layers": [layer, layer], "what": "branch", "index": head, "do": "zero"}]) as probe:
        loss = feed_gpt2(model)
        loss.backward()
    assert probe.result().summary.findings[0].text.startswith(f"Attention head 2 is set to 0 at layer {layer + 1}")
    weight = model.transformer.h[2].attn.c_proj.weight
    kept = weight.detach().clone()
    with torch.no_grad():
        weight.view(2, -1, weight.shape[1])[head] = 0
        wanted = feed_gpt2(model)
        weight.copy_(kept)
    assert loss.item() == pytest.approx(wanted.item(), rel=TOLERANCE)
    assert abs(loss.item() - feed_gpt2(model).item()) > 1e-4


@pytest.mark.full
def test_attention_of_a_block_is_a_branch_of_its_own_where_it_is_listed() -> None:
    model = build("GPT-2")
    with attach(model, list_sublayers(model), [{"layers": [2, 2], "what": "branch", "do": "zero"}]) as probe:
        loss = feed_gpt2(model)
        loss.backward()
    result = probe.result()
    handle = model.transformer.h[1].attn.register_forward_hook(
        lambda _, args, out: (torch.zeros_like(out[0]), *out[1:])
    )
    wanted = feed_gpt2(model)
    handle.remove()
    assert loss.item() == pytest.approx(wanted.item(), rel=TOLERANCE)
    assert result.depth == 6
    assert (result.layers["effect_state"] == 0).tolist() == [True, True, False, False, False, False]


# ---- nothing is left behind


class StoppedError(Exception):
    """Raised in the middle."""


def run_and_stop(name: str, model: Any, given: dict[str, Any]) -> None:
    with attach(model, edits=[given]):
        run(name, model)
        raise StoppedError


@pytest.mark.sample(6)
@pytest.mark.parametrize("where", ["in the context", "in the forward pass"])
@pytest.mark.parametrize("name", ["DeepSeek-V4", "hyper-connections HC", "GPT-2"])
def test_the_model_is_what_it_was_after_an_exception(name: str, where: str) -> None:
    model = build(name)
    before, grads = run(name, model)
    what = {"what": "branch", "do": "zero"} if name == "GPT-2" else {"what": "stream", "index": 0, "do": "zero"}
    last = list(CASES[name].animal.layers(model))[-1]
    calls: list[int] = []

    def stop(*_: Any) -> None:
        calls.append(1)
        if len(calls) == 2:  # the edited pass; the first one is without edits
            raise StoppedError

    handles = [last.register_forward_pre_hook(stop)] if where == "in the forward pass" else []
    with pytest.raises(StoppedError):
        run_and_stop(name, model, {"layers": [0, 2], **what})
    for handle in handles:
        handle.remove()
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in model.modules())
    assert torch._C._len_torch_function_stack() == 0
    after, grads_after = run(name, model)
    assert torch.equal(after, before)
    assert all(torch.equal(grad, grads[key]) for key, grad in grads_after.items())


@pytest.mark.full
def test_dropout_gradients_and_random_numbers_are_those_of_one_pass() -> None:
    """An edit that changes nothing gives the bits of a pass without the probe, with dropout."""
    model = CASES["GPT-2"].animal.build().train()
    torch.manual_seed(1)
    before, grads = run("GPT-2", model)
    drawn = torch.rand(3)
    torch.manual_seed(1)
    loss, found, result = edit("GPT-2", model, {"layers": [0, 0], "what": "branch", "do": "scale", "value": 1.0})
    assert torch.equal(torch.rand(3), drawn)
    assert loss.item() == pytest.approx(before.item(), rel=TOLERANCE)
    assert result.loss_base == pytest.approx(before.item(), rel=1e-7)
    assert result.layers["effect_state"].max() < TOLERANCE
    for key, grad in found.items():
        assert_near(grad, grads[key], torch.cat([g.flatten() for g in grads.values()]))


@pytest.mark.full
def test_padding_is_not_edited() -> None:
    """The mean over tokens of a padded batch is that of the tokens, so that the loss is the same without padding."""
    model = build("DeepSeek-V4")
    ids = draw_ids(1, 8)
    padded, mask = torch.nn.functional.pad(ids, (0, 4)), torch.tensor([[1] * 8 + [0] * 4])
    given = [{"layers": [1, 1], "what": "stream", "index": 1, "do": "mean"}]
    found = []
    for one, kwargs in ((ids, {}), (padded, {"attention_mask": mask})):
        with torch.no_grad(), attach(model, edits=given) as probe:
            labels = one.masked_fill(one == 0, -100)
            model(input_ids=one, labels=labels, **kwargs)
        found.append(probe.result())
    assert found[0].layers["effect_state"][1] > 0.001
    np.testing.assert_allclose(found[1].layers["effect_state"], found[0].layers["effect_state"], rtol=1e-4)


@pytest.mark.full
def test_a_generation_is_edited_in_every_pass() -> None:
    model = build("GPT-2")
    ids = draw_ids(1, 6)
    given = {"layers": [1, 1], "what": "branch", "do": "zero"}
    with torch.no_grad():
        with CASES["GPT-2"].write(model, EDITS["GPT-2"]["branch 0"][1]):
            wanted = model.generate(ids, max_new_tokens=5, do_sample=False)
        with attach(model, edits=[given]) as probe:
            found = model.generate(ids, max_new_tokens=5, do_sample=False)
        with pytest.raises(SpecError, match="the first one"), attach(model, edits=[given | {"do": "freeze"}]):
            model.generate(ids, max_new_tokens=5, do_sample=False)
    assert torch.equal(found, wanted)
    assert probe.result().layers["effect_state"][2] > 0


# ---- what is refused


REFUSED: dict[str, tuple[str, dict[str, Any], str]] = {
    "a plain model has no streams": (
        "GPT-2",
        {"layers": [0, 0], "what": "stream", "index": 0, "do": "zero"},
        "edits.0.what: stream: branch in this layer of GPT2LMHeadModel",
    ),
    "H_pre of each channel": (
        "Qwen4-Exp",
        {"layers": [0, 1], "what": "h_pre", "do": "uniform"},
        "edits.0.what: h_pre: stream, state, h_post, branch in these layers of Qwen4ExpForCausalLM",
    ),
    "a layer too many": (
        "GPT-2",
        {"layers": [0, 3], "what": "branch", "do": "zero"},
        "edits.0.layers: [0, 3]: two layers from 0 to 2, the first not after the last",
    ),
    "a stream too many": (
        "DeepSeek-V4",
        {"layers": [0, 3], "what": "stream", "index": 4, "do": "zero"},
        "edits.0.index: 4: a number from 0 to 3",
    ),
    "a head too many": (
        "GPT-2",
        {"layers": [1, 1], "what": "branch", "index": 2, "do": "zero"},
        "edits.0.index: 2: a head from 0 to 1",
    ),
    "a frozen head": (
        "GPT-2",
        {"layers": [1, 1], "what": "branch", "index": 1, "do": "freeze"},
        "edits.0.do: freeze: zero, mean, scale, noise of a head",
    ),
    "heads of a connection": (
        "DeepSeek-V4",
        {"layers": [0, 0], "what": "branch", "index": 1, "do": "zero"},
        "edits.0.index: 1: nothing in layer 0, which has no module that takes the heads of attention together",
    ),
}


@pytest.mark.sample(4)
@pytest.mark.parametrize("case", REFUSED)
def test_an_edit_that_a_model_cannot_do_is_refused_by_field(case: str) -> None:
    name, given, wanted = REFUSED[case]
    model = build(name)
    with pytest.raises(SpecError) as caught, attach(model, edits=[given]):
        run(name, model)
    assert f"{caught.value.field}: {caught.value.got}: {caught.value.wanted}" == wanted
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in model.modules())


def test_what_is_no_edit_is_refused_before_any_pass() -> None:
    with pytest.raises(SpecErrors) as caught:
        attach(build("GPT-2"), edits=[{"layers": [0, 0], "what": "branch", "do": "cut"}])
    assert [error.field for error in caught.value.errors] == ["edits.0.do"]
    with pytest.raises(SpecErrors, match=r"edits\.0: got 'cut', wanted an object"):
        attach(build("GPT-2"), edits=["cut"])  # type: ignore[list-item]


def test_what_is_no_module_is_refused() -> None:
    with pytest.raises(SpecError, match="model: got 'gpt2', wanted a module of torch"):
        attach("gpt2")  # type: ignore[arg-type]


@pytest.mark.full
@pytest.mark.parametrize("how", ["accumulated", "checkpoints"])
def test_accumulated_and_recomputed_passes_have_the_effect_of_one(how: str) -> None:
    """Halves of a batch with half its loss each, and layers that the backward pass computes once more."""
    given: list[dict[str, Any]] = [
        {"layers": [1, 3], "what": "stream", "index": 1, "do": "zero"},
        {"layers": [2, 2], "what": "h_res", "do": "identity"},
    ]
    model = recorded.build("DeepSeek-V4").eval()
    with attach(model, edits=given) as probe:
        recorded.feed(model).backward()
    wanted = probe.result()
    if how == "checkpoints":
        model.train()
        for block in model.model.layers:
            block.gradient_checkpointing = True
            block._gradient_checkpointing_func = partial(checkpoint, use_reentrant=False)
    with attach(model, edits=given) as probe:
        for part in IDS.split(1) if how == "accumulated" else [IDS]:
            (recorded.feed(model, part) * len(part) / len(IDS)).backward()
    found = probe.result()
    for key in ("effect_state", "effect_grad"):
        np.testing.assert_allclose(found.layers[key], wanted.layers[key], rtol=1e-5)
    assert found.loss_base == pytest.approx(wanted.loss_base, rel=1e-6)


@pytest.mark.full
def test_the_gradient_of_another_loss_has_no_effect() -> None:
    """The pass without edits can take the gradient of the model's own loss alone."""
    model = build("GPT-2")
    with attach(model, edits=[{"layers": [1, 1], "what": "branch", "do": "zero"}]) as probe:
        model(input_ids=draw_ids(), labels=draw_ids()).logits.square().mean().backward()
    result = probe.result()
    assert "effect_grad" not in result.layers
    assert result.layers["effect_state"][1] > 0
