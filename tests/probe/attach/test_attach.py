"""The probe on a whole tiny DeepSeek-V4 and on GPT-2.

What it tells is compared with hooks and sums written by hand, and the model against itself without the probe.
"""

import runpy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from mhc_core.figures import PANELS, figure
from mhc_core.record.codec import decode_line, encode_frame
from mhc_core.record.result import Result
from mhc_core.record.source import TraceSource
from mhc_probe import attach
from tests.probe.attach.attachable import (
    LAYERS,
    STREAMS,
    assert_untouched,
    backward,
    build_deepseek,
    build_gpt2,
    norm,
    rms,
)


class HandRead:
    """What passes, caught by hooks written here; gradients stay on the tensors themselves."""

    def __init__(self, model: Any) -> None:
        self.states: list[torch.Tensor] = []
        self.u: list[torch.Tensor] = []
        self.post: list[torch.Tensor] = []
        self.comb: list[torch.Tensor] = []
        self.y: list[torch.Tensor] = []
        for block in model.model.layers:
            for connection, branch in ((block.attn_hc, block.self_attn), (block.ffn_hc, block.mlp)):
                connection.register_forward_hook(self._connection)
                branch.register_forward_hook(self._branch)
        model.model.hc_head.register_forward_pre_hook(lambda _, inputs: self._keep(self.states, inputs[0]))
        self.loss = float(backward(model).loss.detach())

    def _connection(self, module: Any, inputs: Any, output: Any) -> None:
        self._keep(self.states, inputs[0])
        for column, value in zip((self.post, self.comb, self.u), output, strict=True):
            self._keep(column, value)

    def _branch(self, module: Any, inputs: Any, output: Any) -> None:
        self._keep(self.y, output[0] if isinstance(output, tuple) else output)

    @staticmethod
    def _keep(column: list[torch.Tensor], value: torch.Tensor) -> None:
        value.retain_grad()
        column.append(value)


@pytest.fixture(scope="module")
def hand() -> tuple[Any, HandRead]:
    model = build_deepseek()
    return model, HandRead(model)


@pytest.fixture(scope="module")
def result() -> Result:
    with attach(model := build_deepseek()) as probe:
        backward(model)
    return probe.result()


def test_deepseek_does_not_feel_the_probe() -> None:
    assert_untouched(build_deepseek, lambda model: None)


@pytest.mark.full
def test_gpt2_does_not_feel_the_probe() -> None:
    assert_untouched(build_gpt2, lambda model: model.transformer.h)


def test_the_states_are_those_that_pass(hand: tuple[Any, HandRead], result: Result) -> None:
    _, read = hand
    assert len(read.states) == LAYERS + 1
    for layer, state in enumerate(read.states[1:]):
        x = state.detach().numpy()
        assert result.layers["act_rms"][layer] == pytest.approx(rms(x.mean(2)), rel=1e-5)
        wanted = [rms(x[:, :, i]) for i in range(STREAMS)]
        np.testing.assert_allclose(result.layers["act_rms_streams"][layer], wanted, rtol=1e-5)
    assert result.input["act_rms"] == pytest.approx(rms(read.states[0].detach().mean(2)), rel=1e-5)
    assert result.loss == pytest.approx(read.loss, rel=1e-7)
    for layer in range(LAYERS):
        assert result.layers["branch_in_rms"][layer] == pytest.approx(rms(read.u[layer].detach()), rel=1e-5)
        assert result.layers["branch_out_rms"][layer] == pytest.approx(rms(read.y[layer].detach()), rel=1e-5)


def weigh(connection: Any, x_NnC: np.ndarray) -> np.ndarray:
    """H_pre as the paper writes it, (N, n), in numpy."""
    phi, b, a = (getattr(connection, name).detach().double().numpy() for name in ("fn", "base", "scale"))
    v = x_NnC.reshape(len(x_NnC), -1)
    v = v / np.sqrt((v**2).mean(1, keepdims=True) + 1e-6)
    return 1 / (1 + np.exp(-(a[0] * v @ phi[:STREAMS].T + b[:STREAMS]))) + 1e-6


def test_the_mixing_is_what_makes_the_next_state(hand: tuple[Any, HandRead], result: Result) -> None:
    """H_pre compared with u = H_pre x, H_res and H_post against x' = H_res x + H_post y, then averaged."""
    model, read = hand
    connections = [connection for block in model.model.layers for connection in (block.attn_hc, block.ffn_hc)]
    for layer in range(LAYERS):
        x, after = (read.states[k].detach().double().flatten(0, 1).numpy() for k in (layer, layer + 1))
        u, y = (column[layer].detach().double().flatten(0, 1).numpy() for column in (read.u, read.y))
        post = read.post[layer].detach().double().flatten(0, 1).numpy()
        res = read.comb[layer].detach().double().flatten(0, 1).numpy().transpose(0, 2, 1)
        np.testing.assert_allclose(res @ x + post[:, :, None] * y[:, None], after, atol=1e-5 * np.abs(after).max())
        pre = weigh(connections[layer], x)
        np.testing.assert_allclose((pre[:, None] @ x)[:, 0], u, atol=1e-5 * np.abs(u).max())
        np.testing.assert_allclose(result.matrices["h_pre"][layer], pre.mean(0), rtol=1e-5)
        np.testing.assert_allclose(result.matrices["h_post"][layer], post.mean(0), rtol=1e-5)
        np.testing.assert_allclose(result.matrices["h_res"][layer], res.mean(0), rtol=1e-5)
        np.testing.assert_allclose(result.matrices["h_res_std"][layer], res.std(0), rtol=1e-3, atol=1e-7)


def test_sums_and_gains_are_those_of_doubly_stochastic_matrices(hand: tuple[Any, HandRead], result: Result) -> None:
    _, read = hand
    np.testing.assert_allclose(result.layers["h_res_row_sum"], 1, atol=1e-5)  # normalised last
    np.testing.assert_allclose(result.layers["h_res_col_sum"], 1, atol=1e-2)  # what 20 rounds leave
    matrices = [comb.detach().double().flatten(0, 1).mean(0).numpy().T for comb in read.comb]
    assert max(np.abs(m - m.T).max() for m in matrices) > 0.01  # a transposed read-out would show
    product = np.eye(STREAMS)
    for layer, matrix in enumerate(matrices):
        product = matrix @ product
        np.testing.assert_allclose(result.layers["composite_gain_fwd"][layer], product.sum(1).max(), rtol=1e-6)
    product = np.eye(STREAMS)
    for layer in reversed(range(LAYERS)):
        product = product @ matrices[layer]
        np.testing.assert_allclose(result.layers["composite_gain_bwd"][layer], product.sum(0).max(), rtol=1e-6)


def test_the_gradients_are_those_that_autograd_keeps(hand: tuple[Any, HandRead], result: Result) -> None:
    model, read = hand
    places = [*enumerate(read.states[1:])]
    for layer, state in places:
        assert state.grad is not None
        g = state.grad.numpy()
        assert result.layers["grad_rms"][layer] == pytest.approx(rms(g.sum(2)), rel=1e-4)
        wanted = [rms(g[:, :, i]) for i in range(STREAMS)]
        np.testing.assert_allclose(result.layers["grad_rms_streams"][layer], wanted, rtol=1e-5)
    assert read.states[0].grad is not None
    assert result.input["grad_rms"] == pytest.approx(rms(read.states[0].grad.sum(2)), rel=1e-4)
    for layer in range(LAYERS):
        block = model.model.layers[layer // 2]
        attention = layer % 2 == 0
        branch = [block.input_layernorm, block.self_attn] if attention else [block.post_attention_layernorm, block.mlp]
        weights = [parameter for module in branch for parameter in module.parameters()]
        mixing = (block.attn_hc if attention else block.ffn_hc).parameters()
        assert read.u[layer].grad is not None
        assert result.layers["branch_grad_rms"][layer] == pytest.approx(rms(read.u[layer].grad), rel=1e-5)
        assert result.layers["param_grad_norm"][layer] == pytest.approx(norm(weights), rel=1e-5)
        total = np.sqrt(sum(float((weight.detach().double() ** 2).sum()) for weight in weights))
        assert result.layers["grad_to_weight"][layer] == pytest.approx(norm(weights) / total, rel=1e-5)
        assert result.layers["mixing_grad_norm"][layer] == pytest.approx(norm(mixing), rel=1e-5)


def test_frames_come_in_the_order_of_a_run_and_survive_their_lines() -> None:
    with attach(model := build_deepseek()) as probe:
        backward(model)
    frames = probe.frames()
    up = [kind for _ in range(LAYERS) for kind in ("forward", "similarity")]
    down = ["backward"] * (LAYERS + 1)
    assert [frame.type for frame in frames] == ["start", "forward", *up, "loss", *down, "mixing", "summary"]
    here, there = probe.result(), Result()
    for index, frame in enumerate(frames):
        there.add(decode_line(encode_frame(frame, "id", index)))
    for table in ("layers", "layers_log10", "matrices"):
        one, other = getattr(here, table), getattr(there, table)
        assert one.keys() == other.keys()
        for key, column in one.items():
            np.testing.assert_array_equal(np.asarray(other[key]).astype(column.dtype), column)
    assert here.blocks[:2] == ["attention", "mlp"]
    assert here.streams == STREAMS
    assert here.label == "DeepseekV4ForCausalLM"
    assert isinstance(here.source, TraceSource)
    assert here.source.versions.keys() == {"torch", "transformers"}
    assert there.source == here.source


@pytest.mark.full
def test_every_panel_can_be_drawn(result: Result) -> None:
    for key in PANELS.keys() - {"training", "theory", "effect", "gates"}:
        drawn = figure(key, [result], ["DeepSeek-V4"], 2, "light")
        assert [trace for trace in drawn.data if trace.visible is not False], key


def test_the_findings_speak_of_what_was_heard(result: Result) -> None:
    texts = {finding.key: finding.text for finding in result.summary.findings}
    assert texts["connection"].startswith(
        f"The product of up to {LAYERS} mixing matrices has a gain of up to ×1.00 forward and ×1.00"
    )
    assert {"connection", "activation", "gradient"} <= texts.keys()


@pytest.mark.full
def test_the_example_runs(capsys: pytest.CaptureFixture[str]) -> None:
    runpy.run_path(str(Path(__file__).parents[3] / "examples" / "attach_deepseek_v4.py"))
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("The product of up to 12 mixing matrices has a gain of up to ×1.00 forward")
    assert len(lines) == 18  # five findings, a heading and the layers
