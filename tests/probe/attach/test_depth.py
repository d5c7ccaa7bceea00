"""The probe on attention over depth, compared with hooks and with the formula in numpy, float64.

Shapes: N samples, C width, J the embedding and the outputs so far.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from mhc_core.checks.consistency import check_record
from mhc_core.figures import PANELS, figure
from mhc_core.record.result import Result
from mhc_core.spec import SpecError
from mhc_probe import Monitor, attach
from mhc_probe.attachment import Attachment
from mhc_probe.recording.depth import find_reads
from mhc_probe.recording.finder import build_candidates
from tests.probe.attach.animals import draw_ids
from tests.probe.attach.attachable import rms
from tests.probe.attach.reading import (
    EACH,
    BareRead,
    FunctionReader,
    Reader,
    SigmoidRead,
    build_inkling2,
    build_inkling2_loop,
)

TOLERANCE = 1e-6
LAYERS = 8  # of ours in the four of Inkling2
SUBLAYERS = (
    ("attention_input", "post_attention_convolution"),
    ("mlp_input", "post_mlp_convolution"),
)
# Panels of matrices, which no model here has.
OF_MIXING = ("gain", "gain_bwd", "mixing", "detail", "gauge", "basis", "eigenvalues", "gates")
STATES = ("act_rms", "grad_rms", "branch_in_rms", "branch_out_rms", "branch_grad_rms", "param_grad_norm")


def feed(model: Any, **kwargs: Any) -> torch.Tensor:
    loss: torch.Tensor = model(input_ids=draw_ids(), labels=draw_ids(), **kwargs).loss
    return loss


def feed_reader(model: Any) -> torch.Tensor:
    found: torch.Tensor = model(draw_ids()).square().mean()
    return found


def record_pass(model: Any, run: Callable[[Any], torch.Tensor] = feed) -> Result:
    with attach(model) as probe:
        run(model).backward()
    return probe.result()


class HandRead:
    """What Inkling2 reads and returns in every layer, and the gradients of what is read, kept by autograd."""

    def __init__(self, model: Any) -> None:
        self.embedding: list[torch.Tensor] = []
        self.reads: list[list[torch.Tensor]] = []
        self.outputs: list[torch.Tensor] = []
        self.grad_read_inside: list[torch.Tensor] = []
        text = model.model
        handles = [text.layers[0].register_forward_pre_hook(self._keep_embedding)]
        for name, module in text.named_modules():
            if name.endswith(("attention_input", "mlp_input", "final_input")):
                handles.append(module.register_forward_hook(self._keep_read))
            if name.endswith(tuple(output for _, output in SUBLAYERS)):
                handles.append(module.register_forward_hook(lambda _m, _a, out: self.outputs.append(out.detach())))
        for name in ("q_input_layernorm", "k_input_layernorm", "v_input_layernorm"):
            norm = getattr(text.layers[0], name)
            handles.append(norm.register_full_backward_hook(lambda _m, grads, _o: self._keep_inside(grads)))
        self.loss = feed(model)
        self.loss.backward()
        for handle in handles:
            handle.remove()

    def _keep_embedding(self, module: Any, args: Any) -> None:
        args[0].retain_grad()
        self.embedding.append(args[0])

    def _keep_read(self, module: Any, args: Any, output: Any) -> None:
        for part in output:
            part.retain_grad()
        self.reads.append(list(output))

    def _keep_inside(self, grads: Any) -> None:
        self.grad_read_inside.append(grads[0])


@pytest.fixture(scope="module")
def pair() -> tuple[Any, HandRead, Result]:
    model = build_inkling2()
    result = record_pass(model)
    model.zero_grad()
    return model, HandRead(model), result


def test_what_is_read_and_its_gradient_are_those_of_hooks(pair: tuple[Any, HandRead, Result]) -> None:
    _, read, result = pair
    assert result.depth == len(read.reads) == LAYERS
    assert result.streams == 1
    assert result.blocks == ["attention", "mlp"] * 4
    assert result.loss == pytest.approx(float(read.loss.detach()), rel=1e-7)
    embedding = read.embedding[0]
    assert embedding.grad is not None
    assert result.input["act_rms"] == pytest.approx(rms(embedding.detach()), rel=TOLERANCE)
    assert result.input["grad_rms"] == pytest.approx(rms(embedding.grad), rel=TOLERANCE)
    assert [len(parts) for parts in read.reads] == [1, 1, 1, 3, 1, 1, 1, 1]  # the next layer has attention over all
    states = [embedding.detach()]
    gradients = [torch.stack(read.grad_read_inside).double().sum(0)]
    for layer, parts in enumerate(read.reads):
        states.append(torch.stack([part.detach() for part in parts]).double().mean(0))
        gradients.append(torch.stack([part.grad for part in parts if part.grad is not None]).double().sum(0))
        assert result.layers["act_rms"][layer] == pytest.approx(rms(states[-1]), rel=TOLERANCE)
        assert result.layers["grad_rms"][layer] == pytest.approx(rms(gradients[-1]), rel=TOLERANCE)
    for layer, output in enumerate(read.outputs):
        assert result.layers["branch_in_rms"][layer] == pytest.approx(rms(states[layer]), rel=TOLERANCE)
        assert result.layers["branch_grad_rms"][layer] == pytest.approx(rms(gradients[layer]), rel=TOLERANCE)
        assert result.layers["branch_out_rms"][layer] == pytest.approx(rms(output), rel=TOLERANCE)
    assert not result.status


@pytest.mark.full
def test_the_norms_of_parameters_are_those_of_the_layer(pair: tuple[Any, HandRead, Result]) -> None:
    model, _, result = pair
    queries = [*list_queries(model), model.model.final_input.query]
    for layer in range(LAYERS):
        block = model.model.layers[layer // 2]
        first, second = ("attn", "attention") if layer % 2 == 0 else ("mlp", "mlp")
        own = [
            parameter
            for name, parameter in block.named_parameters()
            if not name.startswith(("attention_input", "mlp_input"))
            and (name.split(".")[0] in (f"self_{first}", first, f"post_{second}_convolution") or is_norm(name, layer))
        ]
        assert result.layers["param_grad_norm"][layer] == pytest.approx(find_norm(own), rel=1e-5)
        assert result.layers["mixing_grad_norm"][layer] == pytest.approx(find_norm([queries[layer]]), rel=1e-5)


def is_norm(name: str, layer: int) -> bool:
    return "input_layernorm" in name if layer % 2 == 0 else "post_attention_layernorm" in name


def list_queries(model: Any) -> list[torch.Tensor]:
    """Return the queries of the reads within blocks; the first layer reads the embedding alone."""
    inputs = [getattr(block, name) for block in model.model.layers for name, _ in SUBLAYERS]
    return [module.query for module in inputs if module is not None]


def find_norm(parameters: list[Any]) -> float:
    return float(np.sqrt(sum(float((p.grad.double() ** 2).sum()) for p in parameters)))


def weigh(outputs_JNC: list[np.ndarray], query_C: np.ndarray, block: int) -> tuple[np.ndarray, np.ndarray]:
    """Return what one query reads, (N, C), and the coefficients of the embedding and of each output, (J, N)."""
    groups = [[0]] + [list(range(1 + at, min(1 + at + block, len(outputs_JNC)))) for at in range(0, 99, block)]
    groups = [group for group in groups if group]
    sources = np.stack([np.sum([outputs_JNC[j] for j in group], axis=0) for group in groups])
    normed = sources / np.sqrt((sources**2).mean(-1, keepdims=True) + 1e-6)
    logits = normed @ query_C / np.sqrt(len(query_C))
    attention = np.exp(logits - logits.max(0))
    attention /= attention.sum(0)
    values = attention / np.sqrt((sources**2).mean(-1) + 1e-6)
    place = [next(k for k, group in enumerate(groups) if j in group) for j in range(len(outputs_JNC))]
    return (attention[..., None] * normed).sum(0), values[place]


def test_weights_over_depth_are_those_of_the_formula(pair: tuple[Any, HandRead, Result]) -> None:
    model, read, result = pair
    outputs = [x.detach().double().flatten(0, 1).numpy() for x in (read.embedding[0], *read.outputs)]
    unfolded = result.matrices["unfolded"]
    np.testing.assert_array_equal(unfolded[0], [1.0, *[0.0] * LAYERS])
    for layer, query in enumerate(list_queries(model), start=1):
        queries = query.detach().double().view(-1, query.shape[-1]).numpy()
        found = [weigh(outputs[: layer + 1], one, 2 * EACH) for one in queries]
        for (made, _), part in zip(found, read.reads[layer - 1], strict=True):
            np.testing.assert_allclose(made, part.detach().flatten(0, 1).numpy(), atol=1e-5)
        wanted = np.mean([values.mean(1) for _, values in found], axis=0)
        np.testing.assert_allclose(unfolded[layer, : layer + 1], wanted, rtol=1e-5)
        np.testing.assert_array_equal(unfolded[layer, layer + 1 :], 0)


def test_the_findings_are_of_the_weights(pair: tuple[Any, HandRead, Result]) -> None:
    _, _, result = pair
    texts = {finding.key: finding.text for finding in result.summary.findings}
    weights = result.matrices["unfolded"][-1, :-1].astype(float)
    place = int(weights.argmax())
    share = 100 * weights[place] / weights.sum()
    assert texts["connection"].startswith("Layer 8 reads the embedding and 7 outputs; ")
    assert f"the output of layer {place} has the largest share, {share:.3g} %" in texts["connection"]
    assert texts["several_reads"].startswith("1 of 8 layers read several sums")
    assert "reading" not in texts
    assert "unchanged" not in " ".join(texts.values())
    assert "gain" not in result.summary.headline.text
    assert not {"h_res", "h_pre", "h_post"} & result.matrices.keys()


@pytest.mark.sample(3)
@pytest.mark.parametrize("build", [build_inkling2, build_inkling2_loop, Reader])
def test_outputs_and_gradients_are_the_same_bits(build: Callable[[], Any]) -> None:
    run = feed_reader if build is Reader else feed
    alone, watched = build(), build()
    wanted = run(alone)
    wanted.backward()
    with attach(watched) as probe:
        found = run(watched)
        found.backward()
    probe.result()
    assert torch.equal(found, wanted)
    for (name, one), (_, other) in zip(watched.named_parameters(), alone.named_parameters(), strict=True):
        assert (one.grad is None) == (other.grad is None), name
        assert one.grad is None or torch.equal(one.grad, other.grad), name
    for one, other in zip(watched.buffers(), alone.buffers(), strict=True):
        assert torch.equal(one, other)
    assert torch.equal(run(watched), run(alone))  # the hooks are gone


# ---- a loop


@pytest.mark.full
def test_a_loop_with_gates_is_read_without_weights_that_it_does_not_have() -> None:
    model = build_inkling2_loop()
    result = record_pass(model)
    model.zero_grad()
    kept: list[list[torch.Tensor]] = []
    outputs: list[torch.Tensor] = []
    text = model.model
    handles = []

    def keep(_module: Any, _args: Any, output: Any) -> None:
        parts = list(output) if isinstance(output, tuple) else [output]
        for part in parts:
            part.retain_grad()
        kept.append(parts)

    def replace(module: Any, _args: Any, output: Any) -> None:
        output.retain_grad()
        if module.is_first:
            kept[-1] = []
        kept[-1].append(output)

    for name, module in text.named_modules():
        if name.endswith(("attention_input", "mlp_input", "final_input")):
            handles.append(module.register_forward_hook(keep))
        if name.endswith("message_gate"):
            module.is_first = name.endswith(("q_message_gate", "mlp_message_gate"))
            handles.append(module.register_forward_hook(replace))
        if name.endswith(("post_attention_convolution", "post_mlp_convolution")):
            handles.append(module.register_forward_hook(lambda _m, _a, output: outputs.append(output)))
    feed(model).backward()
    for handle in handles:
        handle.remove()
    # 2 layers, 2 layers three times, 2 layers; each is two of ours.
    assert result.depth == len(kept) == len(outputs) == 20
    for layer, (parts, output) in enumerate(zip(kept, outputs, strict=True)):
        state = torch.stack([part.detach() for part in parts]).double().mean(0)
        gradient = torch.stack([part.grad for part in parts if part.grad is not None]).double().sum(0)
        assert result.layers["act_rms"][layer] == pytest.approx(rms(state), rel=TOLERANCE)
        assert result.layers["grad_rms"][layer] == pytest.approx(rms(gradient), rel=TOLERANCE)
        assert result.layers["branch_out_rms"][layer] == pytest.approx(rms(output.detach()), rel=TOLERANCE)
    unfolded = result.matrices["unfolded"]
    gated = list(range(8, 16))
    assert np.isnan(unfolded[gated, 0]).all()
    assert result.status["unfolded"] == dict.fromkeys(gated, "unknown")
    assert np.isfinite(unfolded[[*range(8), *range(16, 20)]]).all()
    # Layers after the loop read the outputs of its last turn alone.
    assert (unfolded[16:, 5:13] == 0).all()
    assert (unfolded[16:, [*range(5), *range(13, 17)]] > 0).all()
    texts = {finding.key: finding.text for finding in result.summary.findings}
    assert texts["connection"].startswith("Layer 20 reads the embedding and 11 of 19 earlier outputs; ")
    assert texts["reading"].startswith("In 8 of 20 layers what is read is not a weighted sum")
    # With gates three tensors are read in sliding attention too: the full layer three times, the sliding one twice.
    assert texts["several_reads"].startswith("5 of 20 layers")


# ---- a model of one's own


@pytest.mark.full
def test_a_model_with_lists_of_reads_and_branches_is_read() -> None:
    model: Any = Reader()
    result = record_pass(model, feed_reader)
    model.zero_grad()
    embedding = model.embed(draw_ids())
    embedding.retain_grad()
    read, sources, weights, reads = embedding, [embedding], [], []
    for branch, attend in zip(model.branches, model.reads, strict=True):
        inside = read.view_as(read)
        inside.retain_grad()
        reads.append(inside)
        sources.append(branch(inside))
        stacked = torch.stack(sources)
        weights.append(torch.softmax(attend.score(attend.norm(stacked)), 0)[..., 0].flatten(1).mean(1))
        read = attend(sources)
    reads.append(read)
    read.retain_grad()
    read.square().mean().backward()
    assert result.depth == 4
    for layer in range(4):
        state = reads[layer + 1]
        assert state.grad is not None
        assert result.layers["act_rms"][layer] == pytest.approx(rms(state.detach()), rel=TOLERANCE)
        assert result.layers["grad_rms"][layer] == pytest.approx(rms(state.grad), rel=1e-5)
        inside = reads[layer].grad
        assert inside is not None
        assert result.layers["branch_grad_rms"][layer] == pytest.approx(rms(inside), rel=1e-5)
        assert result.layers["branch_out_rms"][layer] == pytest.approx(rms(sources[layer + 1].detach()), rel=TOLERANCE)
    assert embedding.grad is not None
    assert result.input["grad_rms"] == pytest.approx(rms(embedding.grad), rel=1e-5)
    for layer in range(3):
        row = result.matrices["unfolded"][layer + 1, : layer + 2]
        np.testing.assert_allclose(row, weights[layer].detach().numpy(), rtol=1e-5)
        assert row.sum() == pytest.approx(1, abs=1e-6)


@pytest.mark.full
def test_a_read_without_other_parts_is_found() -> None:
    model = Reader(kind=BareRead)
    result = record_pass(model, feed_reader)
    np.testing.assert_allclose(result.matrices["unfolded"][:, :-1].sum(1), 1, atol=1e-6)
    assert [find_reads(model)] == [list(model.reads)]  # the norms of the branches are none


@pytest.mark.parametrize("size", [1, 2, 3, 4])
def test_outputs_that_the_code_changes_are_refused_and_not_read_as_a_residual_model(size: int) -> None:
    model = FunctionReader(size, squashes=True)
    with attach(model) as probe:
        feed_reader(model).backward()
    says = r"lists of \d to \d earlier outputs.*modules that take the list of all earlier outputs"
    with pytest.raises(SpecError, match=says):
        probe.result()


@pytest.mark.full
def test_a_sum_with_other_weights_is_no_attention_over_depth() -> None:
    with attach(model := Reader(kind=SigmoidRead)) as probe:
        feed_reader(model).backward()
    with pytest.raises(SpecError, match="layers"):
        probe.result()


@pytest.mark.full
def test_sources_that_are_not_those_of_the_read_before_are_refused_by_name() -> None:
    with attach(model := Reader(forgets=True)) as probe:
        feed_reader(model).backward()
    with pytest.raises(SpecError, match=r"model\.reads\[2\] with unknown sources"):
        probe.result()


@pytest.mark.full
def test_a_sum_that_is_added_to_the_plain_state_is_not_what_is_read() -> None:
    with attach(model := Reader(adds=True)) as probe:
        feed_reader(model).backward()
    with pytest.raises(SpecError, match="layer 2 with an input that no read has returned"):
        probe.result()


# ---- ways to run a model


@pytest.mark.full
@pytest.mark.parametrize("reentrant", [False, True])
def test_layers_that_are_computed_again_count_once(pair: tuple[Any, HandRead, Result], reentrant: bool) -> None:
    _, _, wanted = pair
    model = build_inkling2()
    model.train()
    model.activation_checkpointing_enable({"use_reentrant": reentrant})
    result = record_pass(model)
    for key in STATES:
        first = 1 if reentrant and key == "branch_grad_rms" else 0  # there is no graph on the first way
        np.testing.assert_allclose(result.layers[key][first:], wanted.layers[key][first:], rtol=1e-5, err_msg=key)
    np.testing.assert_allclose(result.matrices["unfolded"], wanted.matrices["unfolded"], rtol=1e-6)


@pytest.mark.full
def test_padding_is_left_out() -> None:
    model = build_inkling2()
    mask = torch.ones(2, 12, dtype=torch.long)
    mask[0, 8:] = 0
    states: list[torch.Tensor] = []
    handle = model.model.final_input.register_forward_hook(lambda _m, _a, output: states.append(output[0].detach()))
    with attach(model) as probe:
        feed(model, attention_mask=mask).backward()
    handle.remove()
    assert probe.result().layers["act_rms"][-1] == pytest.approx(rms(states[0][mask.bool()]), rel=TOLERANCE)


@pytest.mark.full
def test_two_passes_count_as_one_over_all_samples(pair: tuple[Any, HandRead, Result]) -> None:
    _, _, once = pair
    with attach(model := build_inkling2()) as probe:
        for _ in range(2):
            feed(model).backward()
    twice = probe.result()
    np.testing.assert_allclose(twice.layers["act_rms"], once.layers["act_rms"], rtol=1e-6)
    np.testing.assert_allclose(twice.matrices["unfolded"], once.matrices["unfolded"], rtol=1e-6)
    np.testing.assert_allclose(twice.layers["param_grad_norm"], 2 * once.layers["param_grad_norm"], rtol=1e-5)


@pytest.mark.full
def test_bfloat16_weights_are_read_to_their_rounding() -> None:
    model = build_inkling2()
    for name, parameter in model.named_parameters():
        if not any(part in name for part in model._keep_in_fp32_modules_strict):
            parameter.data = parameter.data.to(torch.bfloat16)
    result = record_pass(model)
    outputs: list[torch.Tensor] = []
    handles = [
        getattr(block, name).register_forward_hook(lambda _m, _a, output: outputs.append(output.detach()))
        for block in model.model.layers
        for _, name in SUBLAYERS
    ]
    with torch.no_grad():
        feed(model)
    for handle in handles:
        handle.remove()
    # As returned, not as the difference of two states in bfloat16.
    for layer, output in enumerate(outputs):
        assert result.layers["branch_out_rms"][layer] == pytest.approx(rms(output.float()), rel=TOLERANCE)
    assert np.isfinite(result.matrices["unfolded"]).all()


@pytest.mark.full
def test_a_model_that_has_been_read_may_overflow_later() -> None:
    model = build_inkling2()
    candidates = build_candidates(model)
    for scale in (1.0, float("inf")):
        with torch.no_grad():
            model.model.layers[1].post_mlp_convolution.conv1d.weight.mul_(scale)
        with Attachment(model, candidates) as probe:
            feed(model).backward()
    result = probe.result()
    assert np.isfinite(result.layers["act_rms"][:3]).all()
    assert np.isnan(result.layers["act_rms"][3:]).all()
    assert set(result.status["unfolded"].values()) == {"nan"}  # computed, and not unknown
    assert result.summary.headline.text == "weights over depth unknown"


@pytest.mark.full
def test_every_panel_can_be_drawn() -> None:
    result = record_once(build_inkling2)
    for key in PANELS.keys() - {"training", "theory", "effect"}:
        drawn = figure(key, [result], ["model"], 2, "light")
        assert any(trace.visible is not False for trace in drawn.data) == (key not in OF_MIXING), key


@cache
def record_once(build: Callable[[], Any]) -> Result:
    return record_pass(build())


@pytest.mark.sample(3)
@pytest.mark.parametrize("build", [build_inkling2, build_inkling2_loop])
def test_a_record_of_it_can_be_stored_and_is_consistent(build: Callable[[], Any], tmp_path: Path) -> None:
    record_once(build).save(tmp_path / "model.mhct")
    result = Result.load(tmp_path / "model.mhct")
    np.testing.assert_array_equal(result.matrices["unfolded"], record_once(build).matrices["unfolded"])
    assert not [check.name for check in check_record(result) if check.verdict == "fail"]


@pytest.mark.full
def test_a_training_is_watched(tmp_path: Path) -> None:
    model = build_inkling2()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, weight_decay=0.0)
    with Monitor(model, every=2, to=tmp_path / "run.mhct") as monitor:
        for _ in range(5):
            optimizer.zero_grad()
            feed(model).backward()
            optimizer.step()
    assert monitor.alarms == []
    result = Result.load(tmp_path / "run.mhct")
    assert [*result.iterations.values()] == [0, 2, 4]
    assert np.isfinite(result.steps["step_act_rms"]).all()
    first, last = result.kept["step_unfolded"][0], result.kept["step_unfolded"][-1]
    np.testing.assert_allclose(last, result.matrices["unfolded"], rtol=1e-6)
    assert np.abs(last - first).max() > 1e-4
