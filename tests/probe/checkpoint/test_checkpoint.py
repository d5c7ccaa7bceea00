"""Checkpoints of one file and of many: what is read, what is assumed, and what is refused."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mhc_core.figures import PANELS, figure
from mhc_core.record.result import Result
from mhc_core.spec import SpecError
from mhc_probe.checkpoint import read_checkpoint
from tests.probe.checkpoint.stored import STREAMS, WIDTH, draw_connections, write_file


def _save(folder: Path, tensors: dict[str, np.ndarray] | None = None, config: dict[str, Any] | None = None) -> Path:
    write_file(folder / "model.safetensors", draw_connections(2) if tensors is None else tensors)
    if config is not None:
        (folder / "config.json").write_text(json.dumps(config))
    return folder


def _save_shards(folder: Path, **changes: str) -> Path:
    """One shard a block, and the index of both."""
    tensors = draw_connections(2)
    shard_of = {name: f"shard-{name.split('.')[2]}.safetensors" for name in tensors}
    for shard in set(shard_of.values()):
        write_file(folder / shard, {name: tensors[name] for name in tensors if shard_of[name] == shard})
    index = folder / "model.safetensors.index.json"
    index.write_text(json.dumps({"metadata": {}, "weight_map": shard_of | changes}))
    return index


def test_many_files_are_read_as_one_is(tmp_path: Path) -> None:
    (tmp_path / "one").mkdir()
    (tmp_path / "many").mkdir()
    one, index = _save(tmp_path / "one"), _save_shards(tmp_path / "many")
    alone = read_checkpoint(one)
    for path in (index, index.parent):
        assert np.array_equal(read_checkpoint(path).matrices["h_res"], alone.matrices["h_res"])


def test_names_and_settings_are_those_of_the_config(tmp_path: Path) -> None:
    config = {
        "architectures": ["SomeForCausalLM"],
        "transformers_version": "9.9",
        "text_config": {"hc_sinkhorn_iters": 1, "hc_eps": 0.0, "num_hidden_layers": 1},
    }
    result = read_checkpoint(_save(tmp_path, config=config))
    assert result.label == "SomeForCausalLM"
    assert result.depth == 2  # two blocks are stored; the config knows of one
    logits = draw_connections(1)["model.layers.0.attn_hc.base"][2 * STREAMS :].reshape(STREAMS, STREAMS)
    rows = np.exp(logits.astype(float)) / np.exp(logits.astype(float)).sum(1, keepdims=True)
    assert np.allclose(result.matrices["h_res"][0], (rows / rows.sum(0)).T, rtol=0, atol=1e-12)


def test_without_a_config_it_says_what_it_assumes(tmp_path: Path) -> None:
    path = _save(tmp_path) / "model.safetensors"
    result = read_checkpoint(path)
    assert result.label == "model"
    texts = [finding.text for finding in result.summary.findings if finding.key == "checkpoint"]
    assert "No config.json says otherwise, so that an epsilon of 1e-6 and 20 Sinkhorn rounds count." in texts[0]


@pytest.mark.parametrize("name", ["model.safetensors", "<b>&amp;\u202e\x1b[1m.safetensors"])
def test_its_record_can_be_saved_and_every_panel_takes_it(name: str, tmp_path: Path) -> None:
    path = write_file(tmp_path / name, draw_connections(2))
    here = read_checkpoint(path)
    here.save(tmp_path / "model.mhct")
    there = Result.load(tmp_path / "model.mhct")
    assert np.array_equal(there.matrices["h_res"], here.matrices["h_res"])
    drawn = {key: figure(key, [there], ["stored"], 2, "light") for key in PANELS}
    shown = {key for key, panel in drawn.items() if any(trace.visible is not False for trace in panel.data)}
    assert shown == {"gain", "gain_bwd", "mixing", "detail", "unfolded", "gauge", "basis", "eigenvalues"}


def test_a_bias_that_is_no_number_has_a_status(tmp_path: Path) -> None:
    tensors = draw_connections(2)
    tensors["model.layers.1.attn_hc.base"][-1] = np.nan
    result = read_checkpoint(_save(tmp_path, tensors))
    assert result.status["h_res"] == {2: "nan"}
    assert result.status["composite_gain_fwd"] == {2: "nan", 3: "nan"}
    assert np.isfinite(result.layers["composite_gain_fwd"][:2]).all()
    assert result.summary.headline.text == "gain unknown"
    text = "In 1 of 4 layers biases are no finite numbers, layer 3 the first: no gain is known."
    assert text in [finding.text for finding in result.summary.findings]


def test_scales_that_are_no_numbers_are_said(tmp_path: Path) -> None:
    tensors = draw_connections(2)
    tensors["model.layers.0.attn_hc.scale"][:2] = np.inf, np.nan
    texts = [finding.text for finding in read_checkpoint(_save(tmp_path, tensors)).summary.findings]
    assert texts[1].startswith(
        "Tokens move the logits of H_pre by not a number, of H_post by not a number and of H_res"
    )


def _change(**changes: np.ndarray | None) -> dict[str, np.ndarray]:
    """Tensors with some of block 1 in another shape, or left out."""
    tensors = draw_connections(2)
    for part, value in changes.items():
        name = f"model.layers.1.ffn_hc.{part}"
        if value is None:
            del tensors[name]
        else:
            tensors[name] = value
    return tensors


BAD_TENSORS = {
    "no connection": ({"model.embed.weight": np.zeros((2, 2), np.float32)}, "checkpoint"),
    "nothing": ({}, "checkpoint"),
    "a block missing": (
        {name.replace("layers.1", "layers.2"): tensor for name, tensor in draw_connections(2).items()},
        "checkpoint: model.layers.1",
    ),
    "two stacks": (draw_connections(1) | draw_connections(1, tower="draft."), "checkpoint"),
    "two names of one": (
        draw_connections(1) | draw_connections(1, starts=("hc_attn_", "hc_ffn_")),
        "checkpoint: model.layers.0.hc_attn_fn",
    ),
    "a depth beyond reason": (
        {name.replace("layers.1", "layers.99999"): tensor for name, tensor in draw_connections(2).items()},
        "checkpoint: layers",
    ),
    "no bias": (_change(base=None), "checkpoint: model.layers.1.ffn_hc, base"),
    "other streams": (_change(base=np.zeros(15, np.float32)), "checkpoint: model.layers.1.ffn_hc"),
    "no whole number of streams": (_change(base=np.zeros(23, np.float32)), "checkpoint: model.layers.1.ffn_hc, base"),
    "two scales among threes": (_change(scale=np.zeros(2, np.float32)), "checkpoint: model.layers.1.ffn_hc"),
    "a projection of another width": (
        _change(fn=np.zeros((24, STREAMS * WIDTH + 1), np.float32)),
        "checkpoint: model.layers.1.ffn_hc, fn",
    ),
    "a bias in bytes": (_change(base=np.zeros(24, np.uint8)), "model.safetensors: dtype"),
}


@pytest.mark.sample(4)
@pytest.mark.parametrize("case", BAD_TENSORS)
def test_tensors_that_do_not_fit_are_refused(case: str, tmp_path: Path) -> None:
    tensors, field = BAD_TENSORS[case]
    with pytest.raises(SpecError) as caught:
        read_checkpoint(_save(tmp_path, tensors))
    assert caught.value.field == field


@pytest.mark.sample(4)
@pytest.mark.parametrize(
    ("config", "field"),
    [
        ({"hc_eps": -1}, "config.json: hc_eps"),
        ({"hc_eps": True}, "config.json: hc_eps"),
        ({"hc_eps": float("nan")}, "config.json: hc_eps"),
        ({"hc_sinkhorn_iters": 10**9}, "config.json: hc_sinkhorn_iters"),
        ({"hc_sinkhorn_iters": 1.5}, "config.json: hc_sinkhorn_iters"),
        ({"num_hidden_layers": "many"}, "config.json: num_hidden_layers"),
        ([], "config.json"),
    ],
)
def test_a_config_out_of_range_is_refused(config: Any, field: str, tmp_path: Path) -> None:
    with pytest.raises(SpecError) as caught:
        read_checkpoint(_save(tmp_path, config=config))
    assert caught.value.field == field


@pytest.mark.sample(4)
@pytest.mark.parametrize("shard", ["gone.safetensors", "../shard-0.safetensors", "/etc/passwd", "shard-1.safetensors"])
def test_an_index_leads_to_no_other_files(shard: str, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "shard-0.safetensors").write_bytes(b"")
    index = _save_shards(tmp_path / "in", **{"model.layers.0.attn_hc.fn": shard})
    with pytest.raises(SpecError, match="weight_map"):
        read_checkpoint(index)


def test_a_folder_of_several_models_is_refused(tmp_path: Path) -> None:
    for name in ("a", "b"):
        write_file(tmp_path / f"{name}.safetensors", draw_connections(1))
    with pytest.raises(SpecError, match=r"checkpoint: got 'a\.safetensors, b\.safetensors', wanted a folder"):
        read_checkpoint(tmp_path)
    assert read_checkpoint(tmp_path / "a.safetensors").depth == 2
