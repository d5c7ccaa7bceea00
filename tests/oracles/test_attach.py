"""The probe on models from elsewhere: a whole tiny DeepSeek-V4, GPT-2, and a residual model written here.

What it tells is held against hooks and sums written by hand, and the model against itself without the probe.
"""

import runpy
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from transformers import GPT2Config, GPT2LMHeadModel
from transformers.models.deepseek_v4.configuration_deepseek_v4 import DeepseekV4Config
from transformers.models.deepseek_v4.modeling_deepseek_v4 import DeepseekV4ForCausalLM

from app.codec import decode_line, encode_frame
from app.panels import PANELS, figure
from mhc_core.attach import attach
from mhc_core.errors import SpecError
from mhc_core.result import Result

BLOCKS, STREAMS, WIDTH = 3, 4, 32
LAYERS = 2 * BLOCKS
IDS = torch.randint(64, (2, 12), generator=torch.Generator().manual_seed(5))


def build_deepseek() -> DeepseekV4ForCausalLM:
    """Random weights, mixing far from its start, one block of every kind of attention and of experts."""
    torch.manual_seed(0)
    config = DeepseekV4Config(
        vocab_size=64,
        hidden_size=WIDTH,
        moe_intermediate_size=16,
        num_hidden_layers=BLOCKS,
        num_attention_heads=2,
        head_dim=16,
        q_lora_rank=16,
        o_lora_rank=16,
        o_groups=2,
        n_routed_experts=4,
        num_experts_per_tok=2,
        index_n_heads=2,
        index_head_dim=16,
        hc_mult=STREAMS,
        layer_types=["sliding_attention", "compressed_sparse_attention", "heavily_compressed_attention"],
        mlp_layer_types=["hash_moe", "moe", "moe"],
        compress_rates={"compressed_sparse_attention": 4, "heavily_compressed_attention": 4},
    )
    model = DeepseekV4ForCausalLM(config)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "hc" in name:
                parameter += 0.3 * torch.randn_like(parameter)
    return model


def build_gpt2() -> GPT2LMHeadModel:
    torch.manual_seed(0)
    config = GPT2Config(vocab_size=64, n_positions=16, n_embd=WIDTH, n_layer=3, n_head=2)
    return GPT2LMHeadModel(config)  # training mode: dropout draws random numbers


def backward(model: Any) -> Any:
    output = model(input_ids=IDS, labels=IDS)
    output.loss.backward()
    return output


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


def rms(x: Any) -> float:
    return float(np.sqrt((np.asarray(x, dtype=np.float64) ** 2).mean()))


def norm(parameters: Any) -> float:
    return float(np.sqrt(sum(float((p.grad.double() ** 2).sum()) for p in parameters if p.grad is not None)))


@pytest.fixture(scope="module")
def hand() -> tuple[Any, HandRead]:
    model = build_deepseek()
    return model, HandRead(model)


@pytest.fixture(scope="module")
def result() -> Result:
    with attach(model := build_deepseek()) as probe:
        backward(model)
    return probe.result()


def assert_untouched(build: Any, layers: Any) -> None:
    """Outputs and every gradient are the same bits with the probe and without."""
    torch.manual_seed(3)
    alone = build()
    wanted = backward(alone)
    torch.manual_seed(3)
    watched = build()
    with attach(watched, layers(watched)) as probe:
        found = backward(watched)
    probe.result()
    assert torch.equal(found.logits, wanted.logits)
    assert torch.equal(found.loss, wanted.loss)
    grads = 0
    for (name, one), (_, other) in zip(watched.named_parameters(), alone.named_parameters(), strict=True):
        assert (one.grad is None) == (other.grad is None), name
        if one.grad is not None and other.grad is not None:
            assert torch.equal(one.grad, other.grad), name
            grads += bool(one.grad.abs().max() > 0)
    assert grads > 20


def test_deepseek_does_not_feel_the_probe() -> None:
    assert_untouched(build_deepseek, lambda model: None)


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
    """H_pre held against u = H_pre x, H_res and H_post against x' = H_res x + H_post y, then averaged."""
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
    assert here.start["blocks"][:2] == ["attention", "mlp"]
    assert here.start["streams"] == STREAMS
    assert here.start["model"]["name"] == "DeepseekV4ForCausalLM"


@pytest.mark.parametrize("key", [key for key in PANELS if key not in ("training", "theory")])
def test_every_panel_can_be_drawn(key: str, result: Result) -> None:
    drawn = figure(key, [result], ["DeepSeek-V4"], 2, "light")
    assert [trace for trace in drawn.data if trace.visible is not False]


def test_the_findings_speak_of_what_was_heard(result: Result) -> None:
    texts = {finding["key"]: finding["text"] for finding in result.summary["findings"]}
    assert texts["connection"].startswith(f"{LAYERS} mixing matrices multiplied: gain 1.00 forward, 1.00")
    assert {"connection", "activation", "gradient"} <= texts.keys()


def test_the_example_runs(capsys: pytest.CaptureFixture[str]) -> None:
    runpy.run_path(str(Path(__file__).parents[2] / "examples" / "attach_deepseek_v4.py"))
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("12 mixing matrices multiplied: gain 1.00 forward")
    assert len(lines) == 16  # three findings, a heading and the layers


# ---- residual models


class Block(nn.Module):
    """x + tanh(W x), in place where asked; keeps the branch's own input and its gradient."""

    def __init__(self, in_place: bool) -> None:
        super().__init__()
        self.linear, self.in_place = nn.Linear(WIDTH, WIDTH), in_place
        self.u = torch.empty(0)
        self.y = torch.empty(0)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, str]:
        self.u = x.clone()
        self.u.retain_grad()
        self.y = torch.tanh(self.linear(self.u))
        x = x.mul_(1.0).add_(self.y) if self.in_place else x + self.y
        return x, "something else"


class Chain(nn.Module):
    """A residual model without a loss of its own."""

    def __init__(self, in_place: bool) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.embed = nn.Embedding(64, WIDTH)
        self.blocks = nn.ModuleList(Block(in_place) for _ in range(4))

    def forward(self) -> torch.Tensor:
        x = 1.0 * self.embed(IDS)
        for block in self.blocks:
            x, _ = block(x)
        return x


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


# ---- one forward pass, one backward pass


@contextmanager
def attached(layers: bool = True) -> Iterator[tuple[Any, Any]]:
    model = Chain(False)
    with attach(model, layers=model.blocks) as probe:
        yield model, probe


def test_without_a_backward_pass_there_are_no_gradients() -> None:
    with attached() as (model, probe):
        out = model()
    out.sum().backward()  # outside: not heard
    result = probe.result()
    assert "grad_rms" not in result.layers
    assert np.isfinite(result.layers["act_rms"]).all()


def test_without_a_graph_the_forward_pass_is_heard() -> None:
    with attached() as (model, probe), torch.no_grad():
        for block in model.blocks:
            block.forward = lambda x, block=block: (x + torch.tanh(block.linear(x)), "")
        model()
    assert np.isfinite(probe.result().layers["act_rms"]).all()


def test_a_second_pass_is_refused_and_none_is_no_result() -> None:
    with attached() as (model, probe):
        with pytest.raises(RuntimeError, match="no whole forward pass"):
            probe.result()
        out = model()
        with pytest.raises(RuntimeError, match="one forward pass"):
            model()
        out.sum().backward(retain_graph=True)
        with pytest.raises(RuntimeError, match="second backward pass"):
            out.sum().backward()
    model()  # the hooks are gone


def test_recomputed_layers_are_refused() -> None:
    model = build_deepseek()
    model.activation_checkpointing_enable()
    with attach(model), pytest.raises(RuntimeError, match="gradient checkpointing off"):
        backward(model)


def test_a_model_of_no_known_family_is_refused_by_name() -> None:
    with pytest.raises(SpecError, match="Chain"):
        attach(Chain(False))
