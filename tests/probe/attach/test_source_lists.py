"""The probe on attention over depth by functions, compared with hooks and with the formula in numpy, float64.

The model has the structure of those of flash-linear-attention; `tests/rigs/flash_linear_attention.py` runs these.

`test_depth.py` tests what is common to all reads over depth: findings, files, padding, low precision and training.

Shapes: N samples, C width, J the embedding and the outputs so far, K sources.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn import functional

from mhc_core.record.result import Result
from mhc_core.spec import SpecError
from mhc_probe import attach
from mhc_probe.attachment import Attachment
from mhc_probe.recording.finder import build_candidates
from mhc_probe.recording.source_lists import find_reading_blocks
from tests.probe.attach import reading
from tests.probe.attach.animals import WIDTH, draw_ids, shake
from tests.probe.attach.attachable import norm, rms
from tests.probe.attach.reading import FunctionReader, build_function_reader, sum_by_sigmoid

TOLERANCE = 1e-6
LAYERS = 8


def feed(model: Any, **kwargs: Any) -> torch.Tensor:
    found: torch.Tensor = model(draw_ids(), **kwargs).square().mean()
    return found


def record_pass(model: Any, **kwargs: Any) -> Result:
    with attach(model) as probe:
        feed(model, **kwargs).backward()
    return probe.result()


class HandRead:
    """What every branch of a model reads and returns, and their gradients, kept by autograd; without the probe."""

    def __init__(self, model: Any, patch: pytest.MonkeyPatch) -> None:
        self.states: list[torch.Tensor] = []
        self.outputs: list[torch.Tensor] = []
        self._plain = reading.read_sources
        with patch.context() as local:
            local.setattr(reading, "read_sources", self._read)
            handles = [model.embed.register_forward_hook(self._keep_embedding)]
            handles += [
                branch.register_forward_hook(lambda _m, _a, output: self.outputs.append(output.detach()))
                for layer in model.layers
                for branch in (layer.attn, layer.mlp)
            ]
            first: Any = model.layers[0]
            handles.append(first.attn_norm.register_full_backward_hook(self._keep_inside))
            feed(model).backward()
        for handle in handles:
            handle.remove()

    def _keep_embedding(self, module: Any, args: Any, output: torch.Tensor) -> None:
        output.retain_grad()
        self.states.append(output)

    def _keep_inside(self, module: Any, grads: Any, outer: Any) -> None:
        self.grad_inside = grads[0]

    def _read(self, query: Any, sources: Any, key_gain: Any, gain: Any) -> torch.Tensor:
        read = self._plain(query, sources, key_gain, None)
        read.retain_grad()
        self.states.append(read)
        return read if gain is None else functional.rms_norm(read, (WIDTH,), gain, 1e-6)


def list_reads(model: Any) -> list[tuple[Any, Any]]:
    """Return query and gain of the keys of every read after a layer."""
    inner = [
        pair
        for layer in model.layers
        for pair in ((layer.attn_query, layer.attn_keys), (layer.mlp_query, layer.mlp_keys))
    ]
    return [(query.weight, keys.weight) for query, keys in [*inner[1:], (model.query, model.keys)]]


def group_outputs(layers: int, size: int) -> list[list[int]]:
    """Return the sources after some layers: the embedding, and the outputs of every `size` layers in a row."""
    return [[0]] + [list(range(first, min(first + size, layers + 1))) for first in range(1, layers + 1, size)]


def weigh(outputs_JNC: list[np.ndarray], query: Any, gain: Any, size: int) -> np.ndarray:
    """Return the mean weights of the embedding and of each output, (J)."""
    groups = group_outputs(len(outputs_JNC) - 1, size)
    sources = np.stack([np.sum([outputs_JNC[j] for j in group], axis=0) for group in groups])
    keys = sources / np.sqrt((sources**2).mean(-1, keepdims=True) + 1e-6) * gain.detach().double().numpy()
    logits = keys @ query.detach().double().numpy().ravel()
    attention = np.exp(logits - logits.max(0))
    attention /= attention.sum(0)
    return np.array(
        [attention[next(k for k, g in enumerate(groups) if j in g)].mean() for j in range(len(outputs_JNC))]
    )


@pytest.mark.parametrize(
    ("size", "fuses"),
    [
        (2, True),
        *(pytest.param(size, True, marks=pytest.mark.full) for size in (1, 3, 4, 8)),
        *(pytest.param(size, False, marks=pytest.mark.full) for size in (1, 4)),
    ],
)
def test_states_gradients_and_weights_are_those_of_hooks(
    size: int, fuses: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    model: Any = build_function_reader(size, fuses=fuses)
    result = record_pass(model)
    mixing = [norm(pair) for pair in list_reads(model)]
    branches = [
        norm([*branch.parameters(), *outer.parameters()])
        for layer in model.layers
        for branch, outer in ((layer.attn, layer.attn_norm), (layer.mlp, layer.mlp_norm))
    ]
    model.zero_grad()
    read = HandRead(model, monkeypatch)
    assert result.depth == len(read.outputs) == len(read.states) - 1 == LAYERS
    assert result.streams == 1
    assert result.blocks == ["attention", "mlp"] * 4
    grads = [state.grad for state in read.states]
    inside = [read.grad_inside, *grads[1:]]
    found = result.layers
    assert result.input["act_rms"] == pytest.approx(rms(read.states[0].detach()), rel=TOLERANCE)
    assert result.input["grad_rms"] == pytest.approx(rms(grads[0]), rel=TOLERANCE)
    for layer in range(LAYERS):
        assert found["act_rms"][layer] == pytest.approx(rms(read.states[layer + 1].detach()), rel=TOLERANCE)
        assert found["grad_rms"][layer] == pytest.approx(rms(grads[layer + 1]), rel=TOLERANCE)
        assert found["branch_in_rms"][layer] == pytest.approx(rms(read.states[layer].detach()), rel=TOLERANCE)
        assert found["branch_out_rms"][layer] == pytest.approx(rms(read.outputs[layer]), rel=TOLERANCE)
        assert found["branch_grad_rms"][layer] == pytest.approx(rms(inside[layer]), rel=TOLERANCE)
    np.testing.assert_allclose(found["mixing_grad_norm"], mixing, rtol=1e-5)
    np.testing.assert_allclose(found["param_grad_norm"], branches, rtol=1e-5)
    outputs = [x.detach().double().flatten(0, 1).numpy() for x in (read.states[0], *read.outputs)]
    unfolded = result.matrices["unfolded"]
    np.testing.assert_array_equal(unfolded[0], [1.0, *[0.0] * LAYERS])
    for layer, (query, gain) in enumerate(list_reads(model)[:-1], start=1):
        wanted = weigh(outputs[: layer + 1], query, gain, size)
        np.testing.assert_allclose(unfolded[layer, : layer + 1], wanted, rtol=1e-5)
        np.testing.assert_array_equal(unfolded[layer, layer + 1 :], 0)
    assert not result.status


@cache
def record_once() -> Result:
    return record_pass(build_function_reader(4))


@pytest.mark.parametrize("raises", [False, True])
def test_outputs_and_gradients_are_the_same_bits(raises: bool) -> None:
    def fail(*_args: Any) -> None:
        raise ValueError("planted")

    alone: Any = build_function_reader(2)
    watched: Any = build_function_reader(2)
    wanted = feed(alone)
    wanted.backward()
    if raises:
        handle = watched.layers[2].mlp.register_forward_hook(fail)
        with pytest.raises(ValueError, match="planted"), attach(watched):
            feed(watched)
        handle.remove()
        found = feed(watched)
        found.backward()
    else:
        with attach(watched) as probe:
            found = feed(watched)
            found.backward()
        probe.result()
    assert torch.equal(found, wanted)
    for (name, one), (_, other) in zip(watched.named_parameters(), alone.named_parameters(), strict=True):
        assert (one.grad is None) == (other.grad is None), name
        assert one.grad is None or torch.equal(one.grad, other.grad), name
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in watched.modules())
    assert torch.equal(feed(watched), feed(alone))


# ---- what values leave open


def check_untrained(result: Result, model: Any, size: int) -> None:
    """Check the weights of queries of 0, which are the same for all sources, and whose gradient a layer has."""
    for layer in range(1, LAYERS):
        wanted = 1 / len(group_outputs(layer, size))
        np.testing.assert_allclose(result.matrices["unfolded"][layer, : layer + 1], wanted, rtol=1e-6)
    mixing = [norm([query]) for query, _ in list_reads(model)]  # the gains have no gradient yet
    np.testing.assert_allclose(result.layers["mixing_grad_norm"], mixing, rtol=1e-5)


@pytest.mark.sample(1)
@pytest.mark.parametrize("size", [4, 1, 3])
def test_queries_of_0_and_gains_of_1_are_found_by_the_graph(size: int) -> None:
    model = FunctionReader(size)
    check_untrained(record_pass(model), model, size)


@pytest.mark.full
@pytest.mark.parametrize("size", [1, 2, 4])
def test_outputs_of_0_do_not_hide_which_of_them_is_a_source(size: int) -> None:
    model = FunctionReader(size)
    for name, parameter in model.named_parameters():
        if ".attn.0" in name or ".mlp.0" in name:
            torch.nn.init.zeros_(parameter)
    check_untrained(record_pass(model), model, size)


def test_a_pass_before_training_does_not_decide_on_later_ones() -> None:
    model = FunctionReader(2)
    candidates = build_candidates(model)
    with Attachment(model, candidates) as probe, torch.no_grad():
        feed(model)
    probe.result()  # without a graph, any query may have been used
    with Attachment(model, candidates) as probe:
        feed(model).backward()
    check_untrained(probe.result(), model, 2)
    shake(model)
    model.zero_grad()
    with Attachment(model, candidates) as probe:
        feed(model).backward()
    found, wanted = probe.result(), record_pass(build_function_reader(2))
    np.testing.assert_array_equal(found.matrices["unfolded"], wanted.matrices["unfolded"])
    for key in ("grad_rms", "mixing_grad_norm", "param_grad_norm"):
        np.testing.assert_array_equal(found.layers[key], wanted.layers[key])


@pytest.mark.full
def test_without_a_graph_the_weights_are_found_by_values() -> None:
    with attach(model := build_function_reader(4)) as probe, torch.no_grad():
        feed(model)
    result = probe.result()
    np.testing.assert_array_equal(result.matrices["unfolded"], record_once().matrices["unfolded"])
    assert "grad_rms" not in result.layers or not np.isfinite(result.layers["grad_rms"]).any()


# ---- what is refused


def test_a_sum_with_other_weights_is_no_attention_over_depth(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "read_sources", sum_by_sigmoid)
    with attach(model := build_function_reader(2)) as probe:
        feed(model).backward()
    with pytest.raises(SpecError, match=r"lists of .* earlier outputs"):
        probe.result()


@pytest.mark.full
def test_a_block_that_differs_is_refused_by_name() -> None:
    model: Any = build_function_reader(2)
    model.layers[2].squashes = True
    with attach(model) as probe:
        feed(model).backward()
    with pytest.raises(SpecError, match=r"model\.layers\[2\], whose reads or sums are unknown"):
        probe.result()


@pytest.mark.full
def test_edits_are_refused() -> None:
    edits = [{"layers": [1, 1], "what": "branch", "do": "zero"}]
    model = build_function_reader(2)
    with (
        pytest.raises(SpecError, match="one of nothing in this layer"),
        attach(model, edits=edits, loss=lambda output: output.sum()),
    ):
        feed(model)


@pytest.mark.full
def test_lists_of_layers_without_queries_are_no_such_blocks() -> None:
    layer = torch.nn.TransformerEncoderLayer(WIDTH, 2, batch_first=True)
    assert find_reading_blocks(torch.nn.TransformerEncoder(layer, 2)) == []
    model = FunctionReader(2)
    assert find_reading_blocks(model) == list(model.layers)


# ---- ways to run a model


@pytest.mark.full
def test_layers_that_are_computed_again_count_once() -> None:
    result, wanted = record_pass(build_function_reader(4, reruns=True)), record_once()
    for key in ("act_rms", "grad_rms", "branch_out_rms", "branch_grad_rms", "param_grad_norm", "mixing_grad_norm"):
        np.testing.assert_allclose(result.layers[key], wanted.layers[key], rtol=1e-6, err_msg=key)
    np.testing.assert_array_equal(result.matrices["unfolded"], wanted.matrices["unfolded"])


@pytest.mark.full
def test_a_model_that_has_been_read_may_overflow_later() -> None:
    model: Any = build_function_reader(2)
    candidates = build_candidates(model)
    for scale in (1.0, float("inf")):
        with torch.no_grad():
            model.layers[1].mlp[0].weight.mul_(scale)
        with Attachment(model, candidates) as probe:
            feed(model).backward()
    result = probe.result()
    assert np.isfinite(result.layers["act_rms"][:3]).all()
    assert np.isnan(result.layers["act_rms"][3:]).all()
    assert set(result.status["unfolded"].values()) == {"nan"}  # computed, and not unknown
