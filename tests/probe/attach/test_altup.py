"""The probe on alternating updates of Gemma 3n, compared with hooks and with its formulas in numpy, float64.

Shapes: L blocks, n streams, N samples, C width. A block is two layers of a record.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from mhc_core.checks.consistency import check_record
from mhc_core.record.result import Result
from mhc_probe import attach
from tests.probe.attach.animals import VOCABULARY, WIDTH, draw_ids, feed_ids, shake
from tests.probe.attach.attachable import rms

pytestmark = pytest.mark.full

TOLERANCE = 1e-6
BLOCKS, STREAMS, ACTIVE = 3, 4, 1


def build_gemma3n(**changes: Any) -> Any:
    """Return three blocks that read the second of four streams, with mixing far from the identity."""
    from transformers.models.gemma3n.configuration_gemma3n import Gemma3nTextConfig
    from transformers.models.gemma3n.modeling_gemma3n import Gemma3nForCausalLM

    torch.manual_seed(0)
    settings: dict[str, Any] = {
        "vocab_size": VOCABULARY,
        "vocab_size_per_layer_input": VOCABULARY,
        "hidden_size": WIDTH,
        "hidden_size_per_layer_input": 8,
        "intermediate_size": 48,
        "num_hidden_layers": BLOCKS,
        "num_attention_heads": 2,
        "num_key_value_heads": 1,
        "head_dim": 16,
        "num_kv_shared_layers": 0,
        "layer_types": ["sliding_attention", "full_attention", "full_attention"],
        "laurel_rank": 4,
        "activation_sparsity_pattern": [0.0] * BLOCKS,
        "altup_num_inputs": STREAMS,
        "altup_active_idx": ACTIVE,
        "pad_token_id": 0,
        "bos_token_id": 0,
        "eos_token_id": 1,
    }
    model = Gemma3nForCausalLM(Gemma3nTextConfig(**{**settings, **changes}))
    return shake(shake(model, size=0.2), "modality_router", size=20.0)


def record_pass(model: Any) -> Result:
    with attach(model) as probe:
        feed_ids(model).backward()
    return probe.result()


class HandRead:
    """States, gradients and inputs of every block, kept by wrappers and hooks written here."""

    def __init__(self, model: Any) -> None:
        self.before: list[torch.Tensor] = []
        self.grads: dict[tuple[int, int], torch.Tensor] = {}
        self.reads: list[torch.Tensor] = []
        self.activated: list[torch.Tensor] = []
        self.corrected: list[torch.Tensor] = []
        self.added: list[torch.Tensor] = []
        self.after: list[torch.Tensor] = []
        handles: list[Any] = []
        for index, block in enumerate(model.model.layers):
            correct = block.altup.correct
            block.altup.correct = lambda *args, index=index, correct=correct: self._correct(index, correct, *args)
            handles.append(block.register_forward_pre_hook(lambda _m, args: self.before.append(args[0].detach())))
            handles.append(block.input_layernorm.register_forward_pre_hook(lambda _m, args: self._read(args[0])))
            handles.append(
                block.post_per_layer_input_norm.register_forward_hook(
                    lambda _m, _a, out: self.added.append(out.detach())
                )
            )
            handles.append(block.register_forward_hook(lambda _m, _a, out, index=index: self._leave(index, out)))
        self.loss = feed_ids(model)
        self.loss.backward()
        for handle in handles:
            handle.remove()
        for block in model.model.layers:
            del block.altup.correct

    def _keep_grad(self, key: tuple[int, int], tensor: torch.Tensor) -> None:
        tensor.register_hook(lambda grad: self.grads.__setitem__(key, grad.clone()))

    def _read(self, u: torch.Tensor) -> None:
        u.retain_grad()
        self.reads.append(u)

    def _correct(self, index: int, correct: Any, predicted: torch.Tensor, activated: torch.Tensor) -> torch.Tensor:
        self.activated.append(activated.detach())
        out: torch.Tensor = correct(predicted, activated)
        self.corrected.append(out.detach().clone())
        self._keep_grad((index, 0), out)
        return out

    def _leave(self, index: int, out: torch.Tensor) -> None:
        self.after.append(out.detach().clone())
        self._keep_grad((index, 1), out)


@pytest.fixture(scope="module")
def pair() -> tuple[Any, HandRead, Result]:
    model = build_gemma3n()
    result = record_pass(model)
    model.zero_grad()
    return model, HandRead(model), result


def to_rows(x: torch.Tensor) -> np.ndarray:
    """(..., C) as (N, C), or (n, ..., C) as (n, N, C), in float64."""
    found: np.ndarray = x.detach().double().flatten(-3, -2).numpy()
    return found


class Coefficients:
    """P and k of one block, computed in numpy from its weights."""

    def __init__(self, altup: Any, x_nNC: np.ndarray, activated_NC: np.ndarray) -> None:
        weights = {name: parameter.detach().double().numpy() for name, parameter in altup.named_parameters()}
        self.weights, self.eps = weights, altup.router_norm.eps
        raw_Nm = self._route(x_nNC[ACTIVE]) @ weights["prediction_coefs.weight"].T
        self.h_res_Nnn = np.eye(STREAMS) + raw_Nm.reshape(-1, STREAMS, STREAMS)
        self.k_Nn = 1 + self._route(activated_NC) @ weights["correction_coefs.weight"].T

    def _route(self, x_NC: np.ndarray) -> np.ndarray:
        normed = x_NC / np.sqrt((x_NC**2).mean(-1, keepdims=True) + self.eps) * self.weights["router_norm.weight"]
        found: np.ndarray = np.tanh(normed / WIDTH @ self.weights["modality_router.weight"].T)
        return found


@pytest.fixture(scope="module")
def coefficients(pair: tuple[Any, HandRead, Result]) -> list[Coefficients]:
    model, read, _ = pair
    return [
        Coefficients(block.altup, to_rows(before), to_rows(activated))
        for block, before, activated in zip(model.model.layers, read.before, read.activated, strict=True)
    ]


def test_states_and_gradients_are_those_of_hooks(pair: tuple[Any, HandRead, Result]) -> None:
    _, read, result = pair
    assert result.depth == 2 * BLOCKS
    assert result.streams == STREAMS
    assert result.loss == pytest.approx(float(read.loss.detach()), rel=1e-7)
    for layer in range(2 * BLOCKS):
        states = (read.corrected, read.after)[layer % 2]
        state, grad = states[layer // 2], read.grads[layer // 2, layer % 2]
        assert result.layers["act_rms"][layer] == pytest.approx(rms(state.double().mean(0)), rel=TOLERANCE)
        assert result.layers["grad_rms"][layer] == pytest.approx(rms(grad.double().sum(0)), rel=TOLERANCE)
        for key, parts in (("act_rms_streams", state), ("grad_rms_streams", grad)):
            np.testing.assert_allclose(result.layers[key][layer], [rms(part) for part in parts], rtol=TOLERANCE)
    assert result.input["act_rms"] == pytest.approx(rms(read.before[0].double().mean(0)), rel=TOLERANCE)


def test_the_mixing_is_that_of_the_formulas(
    pair: tuple[Any, HandRead, Result], coefficients: list[Coefficients]
) -> None:
    _, read, result = pair
    for block, made in enumerate(coefficients):
        x, corrected = to_rows(read.before[block]), to_rows(read.corrected[block])
        u = np.einsum("bn,nbc->bc", made.h_res_Nnn[:, ACTIVE], x)
        y = to_rows(read.activated[block]) - u
        after = np.einsum("bij,jbc->ibc", made.h_res_Nnn, x) + made.k_Nn.T[:, :, None] * y
        np.testing.assert_allclose(after, corrected, atol=1e-5 * np.abs(corrected).max())
        layer = 2 * block
        np.testing.assert_allclose(result.matrices["h_res"][layer], made.h_res_Nnn.mean(0), atol=1e-6)
        np.testing.assert_allclose(result.matrices["h_res_std"][layer], made.h_res_Nnn.std(0), atol=1e-6)
        np.testing.assert_allclose(result.matrices["h_pre"][layer], made.h_res_Nnn[:, ACTIVE].mean(0), atol=1e-6)
        np.testing.assert_allclose(result.matrices["h_post"][layer], made.k_Nn.mean(0), atol=1e-6)
        assert result.layers["branch_in_rms"][layer] == pytest.approx(rms(u), rel=1e-5)
        assert result.layers["branch_out_rms"][layer] == pytest.approx(rms(y), rel=1e-5)
        # The matrix and its transpose are apart, and both from the identity.
        mean = made.h_res_Nnn.mean(0)
        assert np.abs(mean - mean.T).max() > 0.05
        assert np.abs(mean - np.eye(STREAMS)).max() > 0.05
        np.testing.assert_array_equal(result.matrices["h_res"][layer + 1], np.eye(STREAMS))
        np.testing.assert_array_equal(result.matrices["h_pre"][layer + 1], np.eye(STREAMS)[ACTIVE])
        np.testing.assert_array_equal(result.matrices["h_post"][layer + 1], [0, 1, 1, 1])
        assert result.layers["branch_in_rms"][layer + 1] == pytest.approx(rms(corrected[ACTIVE]), rel=TOLERANCE)
        assert result.layers["branch_out_rms"][layer + 1] == pytest.approx(rms(read.added[block]), rel=TOLERANCE)
    product = np.eye(STREAMS)
    for block, made in enumerate(coefficients):
        product = made.h_res_Nnn.mean(0) @ product
        found = result.layers["composite_gain_fwd"][2 * block]
        assert found == pytest.approx(np.abs(product.sum(1)).max(), rel=1e-5)


def test_the_gradient_at_the_branch_leaves_out_what_is_subtracted(
    pair: tuple[Any, HandRead, Result], coefficients: list[Coefficients]
) -> None:
    """The layer returns L(u), the branch is L(u) - u: the gradient at u of the second term is that at the output."""
    _, read, result = pair
    for block, made in enumerate(coefficients):
        grad = read.reads[block].grad
        assert grad is not None
        written = np.einsum("bn,nbc->bc", made.k_Nn, to_rows(read.grads[block, 0]))
        wanted = to_rows(grad) - written
        assert result.layers["branch_grad_rms"][2 * block] == pytest.approx(rms(wanted), rel=1e-5)
        assert rms(written) > 0.05 * rms(wanted)


def test_the_gradient_at_what_is_added_is_that_of_its_own_path(pair: tuple[Any, HandRead, Result]) -> None:
    """The corrected stream goes on and into the addition; the gradient of the first way is that behind the block."""
    _, read, result = pair
    for block in range(BLOCKS):
        through = read.grads[block, 0][ACTIVE] - read.grads[block, 1][ACTIVE]
        assert result.layers["branch_grad_rms"][2 * block + 1] == pytest.approx(rms(through), rel=1e-4)


def test_the_norms_of_parameters_are_those_of_the_layer(pair: tuple[Any, HandRead, Result]) -> None:
    model, _, result = pair
    for layer in range(2 * BLOCKS):
        block = model.model.layers[layer // 2]
        added = ("per_layer_input_gate", "per_layer_projection", "post_per_layer_input_norm")
        own = [
            parameter
            for name, parameter in block.named_parameters()
            if not name.startswith("altup") and name.startswith(added) == bool(layer % 2)
        ]
        wanted = np.sqrt(sum(float((p.grad.double() ** 2).sum()) for p in own))
        assert result.layers["param_grad_norm"][layer] == pytest.approx(wanted, rel=1e-5)
    wanted_L = []
    for block in model.model.layers:
        squares = [float((p.grad.double() ** 2).sum()) for p in block.altup.parameters() if p.grad is not None]
        wanted_L.append(np.sqrt(sum(squares)))
    np.testing.assert_allclose(result.layers["mixing_grad_norm"][::2], wanted_L, rtol=1e-5)


def test_what_is_said_is_true_of_streams_that_start_apart(pair: tuple[Any, HandRead, Result]) -> None:
    _, _, result = pair
    texts = {finding.key: finding.text for finding in result.summary.findings}
    assert texts["apart"].startswith("The 4 streams start as different states")
    assert texts["connection"].startswith("The product of up to 6 mixing matrices")
    assert "unchanged" not in texts["connection"]
    assert not [check.name for check in check_record(result) if check.verdict == "fails"]


@pytest.mark.parametrize("training", [False, True])
def test_outputs_and_gradients_are_the_same_bits(training: bool) -> None:
    alone, watched = build_gemma3n().train(training), build_gemma3n().train(training)
    wanted = feed_ids(alone)
    wanted.backward()
    with attach(watched) as probe:
        found = feed_ids(watched)
        found.backward()
    result = probe.result()
    assert np.isfinite(result.matrices["h_post"]).all()  # training clips the coefficients' weights
    assert torch.equal(found, wanted)
    for (name, one), (_, other) in zip(watched.named_parameters(), alone.named_parameters(), strict=True):
        assert torch.equal(one, other), name
        assert (one.grad is None) == (other.grad is None), name
        assert one.grad is None or torch.equal(one.grad, other.grad), name
    assert not any({"predict", "correct"} & block.altup.__dict__.keys() for block in watched.model.layers)


def test_what_reads_nothing_has_no_known_weights() -> None:
    """The gains of channels start at 0: which stream they multiply cannot be seen then."""
    model = build_gemma3n()
    for block in model.model.layers:
        nn.init.zeros_(block.altup.correct_output_scale)
    result = record_pass(model)
    assert np.isnan(result.matrices["h_pre"][1::2]).all()
    assert result.status["h_pre"] == dict.fromkeys((1, 3, 5), "unknown")
    assert np.isfinite(result.matrices["h_pre"][::2]).all()
    assert np.isfinite(result.matrices["h_res"]).all()


@pytest.mark.parametrize("reentrant", [False, True])
def test_layers_that_are_computed_again_count_once(pair: tuple[Any, HandRead, Result], reentrant: bool) -> None:
    _, _, wanted = pair
    model = build_gemma3n()
    model.train()
    model.activation_checkpointing_enable({"use_reentrant": reentrant})
    result = record_pass(model)
    for key in ("act_rms_streams", "grad_rms_streams", "param_grad_norm"):
        np.testing.assert_allclose(result.layers[key], wanted.layers[key], rtol=1e-5, err_msg=key)
    np.testing.assert_allclose(result.matrices["h_res"], wanted.matrices["h_res"], atol=1e-6)


def test_padding_is_left_out() -> None:
    model = build_gemma3n()
    mask = torch.ones(2, 12, dtype=torch.long)
    mask[0, 8:] = 0
    states: list[torch.Tensor] = []
    handle = model.model.layers[-1].register_forward_hook(lambda _m, _a, out: states.append(out.detach().clone()))
    with attach(model) as probe:
        model(input_ids=draw_ids(), labels=draw_ids(), attention_mask=mask).loss.backward()
    handle.remove()
    wanted = rms(states[0].mean(0)[mask.bool()])
    assert probe.result().layers["act_rms"][-1] == pytest.approx(wanted, rel=TOLERANCE)


class Forecast(nn.Module):
    """Other methods of these names."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(WIDTH, WIDTH)

    def predict(self, x: torch.Tensor) -> torch.Tensor:
        return torch.tanh(self.linear(x))

    def correct(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return x + y


class ForecastBlock(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.forecast = Forecast()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.forecast.correct(x, self.forecast.predict(x))


def test_a_residual_model_with_methods_of_these_names_is_residual() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(*(ForecastBlock() for _ in range(3)))
    with attach(model) as probe:
        model(torch.randn(2, 5, WIDTH, requires_grad=True)).square().mean().backward()
    result = probe.result()
    assert (result.streams, result.depth) == (1, 3)
    np.testing.assert_array_equal(result.matrices["h_res"], 1)
