"""The static mixing of four families, against their modules in transformers with their dynamic part switched off."""

import math
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from mhc_core.checks.reference_columns import follow_gauge
from mhc_core.record.result import Result
from mhc_probe import attach
from mhc_probe.checkpoint import read_checkpoint
from tests.probe.attach.zoo import ZOO
from tests.probe.checkpoint.stored import write_file

BLOCKS, STREAMS, WIDTH = 3, 4, 8
CONFIG: Any = SimpleNamespace(
    hc_mult=STREAMS, hc_sinkhorn_iters=20, hc_eps=1e-6, hc_magnitude=2.0, hidden_size=WIDTH, rms_norm_eps=1e-6,
    hc_count=STREAMS, hc_lowrank=2,
)  # fmt: skip
TOLERANCE = 1e-6


def _build_deepseek() -> torch.nn.Module:
    from transformers.models.deepseek_v4.modeling_deepseek_v4 import DeepseekV4HyperConnection

    return DeepseekV4HyperConnection(CONFIG)


def _build_glm() -> torch.nn.Module:
    from transformers.models.glm5_next.modeling_glm5_next import Glm5NextTextHyperConnection

    return Glm5NextTextHyperConnection(CONFIG)


def _build_hunyuan() -> torch.nn.Module:
    from transformers.models.hy_v4.modeling_hy_v4 import HYV4HyperConnection

    return HYV4HyperConnection(CONFIG)


# Family -> its connection, and how its authors' checkpoints name the two of a block.
FAMILIES: dict[str, tuple[Callable[[], torch.nn.Module], str, tuple[str, str]]] = {
    "deepseek": (_build_deepseek, "", ("hc_attn_", "hc_ffn_")),
    "glm": (_build_glm, "model.language_model.", ("hc_attn_", "hc_ffn_")),
    "hunyuan": (_build_hunyuan, "model.", ("hc_pre.hc_attn_layer.hc_", "hc_pre.hc_mlp_layer.hc_")),
}


def _draw(build: Callable[[], torch.nn.Module]) -> list[torch.nn.Module]:
    """The connections of all layers, of random biases, and of scales that leave tokens without a say."""
    torch.manual_seed(7)
    connections = [build() for _ in range(2 * BLOCKS)]
    for connection in connections:
        for name, parameter in connection.named_parameters():
            torch.nn.init.zeros_(parameter) if name == "scale" else torch.nn.init.normal_(parameter, std=1.5)
    return connections


@torch.no_grad()
def _ask(connection: torch.nn.Module) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """H_pre, H_post and H_res as the module itself applies them."""
    # Stream j holds the unit vector j, so that what the layer reads is H_pre.
    state = torch.eye(STREAMS, WIDTH).view(1, 1, STREAMS, WIDTH)
    post, *comb, read = connection(state)
    h_res = comb[0][0, 0].mT.numpy() if comb else np.eye(STREAMS)
    return read[0, 0, :STREAMS].numpy(), post[0, 0].numpy(), h_res


@pytest.mark.parametrize("are_ours", [False, True])
@pytest.mark.parametrize("family", FAMILIES)
def test_coefficients_are_those_of_the_module(family: str, are_ours: bool, tmp_path: Path) -> None:
    build, tower, starts = FAMILIES[family]
    starts = ("attn_hc.", "ffn_hc.") if are_ours else starts
    connections = _draw(build)
    tensors = {
        f"{tower}layers.{layer // 2}.{starts[layer % 2]}{name}": parameter.detach().numpy()
        for layer, connection in enumerate(connections)
        for name, parameter in connection.named_parameters()
    }
    result = read_checkpoint(write_file(tmp_path / "model.safetensors", tensors))
    assert result.blocks == ["attention", "mlp"] * BLOCKS
    for layer, connection in enumerate(connections):
        for key, wanted in zip(("h_pre", "h_post", "h_res"), _ask(connection), strict=True):
            assert np.abs(result.matrices[key][layer] - wanted).max() <= TOLERANCE, (key, layer)


@pytest.mark.full
@torch.no_grad()
@pytest.mark.parametrize("family", FAMILIES)
def test_tokens_move_the_logits_as_far_as_it_says(family: str, tmp_path: Path) -> None:
    build, tower, starts = FAMILIES[family]
    torch.manual_seed(3)
    connection = build()
    for name, parameter in connection.named_parameters():
        parameter.fill_(0.2) if name == "scale" else torch.nn.init.normal_(parameter, std=0.5)
    tensors = {
        f"{tower}layers.0.{start}{name}": parameter.numpy()
        for start in starts
        for name, parameter in connection.named_parameters()
    }
    result = read_checkpoint(write_file(tmp_path / "model.safetensors", tensors))
    numbers = {finding.key: finding.numbers for finding in result.summary.findings}["reach"]
    post = connection(torch.randn(1, 40_000, STREAMS, WIDTH))[0][0] / 2
    shift = torch.logit(post) - torch.logit(torch.as_tensor(result.matrices["h_post"][0] / 2)).float()
    measured = float(shift.square().mean().sqrt())
    assert numbers["reach_post"] == pytest.approx(measured, rel=0.01)  # a sample of 160,000
    assert numbers["reach_pre"] != numbers["reach_post"]
    assert (numbers["reach_res"] is None) == (family == "hunyuan")


def test_a_gated_family_passes_its_streams_unmixed(tmp_path: Path) -> None:
    from transformers.models.qwen4_exp.modeling_qwen4_exp import Qwen4ExpTextGatedResidual

    connection: Any = Qwen4ExpTextGatedResidual(CONFIG)
    torch.nn.init.zeros_(connection.block_inject_weight.weight)
    state = torch.randn(1, 1, STREAMS * WIDTH)
    _, passed, post = connection(state)
    assert torch.equal(passed, state)
    tensors = {
        f"model.layers.{block}.{branch}_hyper_connection.{name}": parameter.detach().numpy()
        for block in range(BLOCKS)
        for branch in ("attn", "mlp")
        for name, parameter in connection.named_parameters()
    }
    result = read_checkpoint(write_file(tmp_path / "model.safetensors", tensors))
    assert np.array_equal(result.matrices["h_post"], np.tile(post[0, 0].detach().numpy(), (2 * BLOCKS, 1)))
    assert np.array_equal(result.matrices["h_res"], np.tile(np.eye(STREAMS), (2 * BLOCKS, 1, 1)))
    assert "h_pre" not in result.matrices
    assert "unfolded" not in result.matrices
    assert result.summary.headline.text == "gain ×1 (by design)"
    assert "H_pre is not known" in result.summary.findings[0].text
    assert result.summary.findings[1].text.startswith("How far tokens move the coefficients is not known")


def _compare(name: str, folder: Path) -> tuple[Result, Result]:
    """A whole model as its own library stores it, and what the probe hears of it without its dynamic part."""
    animal, model = ZOO[name], ZOO[name].build()
    model.save_pretrained(folder)
    with torch.no_grad():
        for parameter_name, parameter in model.named_parameters():
            if parameter_name.endswith(("_hc.scale", "_hyper_connection.block_inject_weight.weight")):
                parameter.zero_()
    with attach(model) as probe:
        animal.feed(model).backward()
    return read_checkpoint(folder), probe.result()


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> tuple[Result, Result]:
    return _compare("DeepSeek-V4", tmp_path_factory.mktemp("stored"))


def _check_equality(stored: Result, recorded: Result) -> None:
    assert {"h_post", "h_res"} <= stored.matrices.keys() <= recorded.matrices.keys()
    for key, matrix in stored.matrices.items():
        assert np.abs(matrix - recorded.matrices[key]).max() <= TOLERANCE, key
    assert {"composite_gain_fwd", "composite_gain_bwd", "h_res_col_sum", "write_share_max"} <= stored.layers.keys()
    # What undoes mixing enlarges what coefficients differ by: a rounding of float32 to `lost` times a norm.
    mixing = [stored.matrices[key] for key in ("h_pre", "h_post", "h_res") if key in stored.matrices]
    lost = {key: bound_L for key, (_, bound_L) in follow_gauge(*mixing).items()} if len(mixing) == 3 else {}
    for key, column in stored.layers.items():
        largest = TOLERANCE * (1 + np.abs(column) * lost[key] / 2.0**-24) if key in lost else TOLERANCE
        assert (np.abs(column - recorded.layers[key]) <= largest).all(), key


@pytest.mark.full
def test_a_stored_model_has_the_static_mixing_that_the_probe_hears(both: tuple[Result, Result]) -> None:
    assert {"h_pre", "unfolded"} <= both[0].matrices.keys()
    _check_equality(*both)


@pytest.mark.full
@pytest.mark.parametrize("name", ["GLM-5-next", "HY-V4", "Qwen4-Exp"])
def test_so_have_those_of_the_other_families(name: str, tmp_path: Path) -> None:
    stored, recorded = _compare(name, tmp_path)
    assert ("h_pre" in stored.matrices) == (name != "Qwen4-Exp")
    _check_equality(stored, recorded)


def test_it_says_what_it_is_and_what_it_does_not_know(both: tuple[Result, Result]) -> None:
    stored, recorded = both
    assert stored.start.source is not None
    assert recorded.start.source is not None
    assert stored.start.source.model.name == recorded.start.source.model.name
    kept_with_them = 8  # values of a buffer that corrects scores of experts
    assert stored.start.source.model.parameters == recorded.start.source.model.parameters + kept_with_them
    assert stored.blocks == recorded.blocks
    texts = {finding.key: finding.text for finding in stored.summary.findings}
    assert "Activations, gradients and similarity are not known." in texts["checkpoint"]
    assert "config.json" not in texts["checkpoint"]
    assert not {"activation", "gradient"} & texts.keys()
    assert not {"act_rms", "grad_rms", "cos_prev", "act_share_max"} & stored.layers.keys()
    assert math.isnan(stored.loss)
