"""What a growing trace says in words at each observation: recomputed from the model by hooks that are written here."""

import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from mhc_core.findings.words import format_magnitude
from mhc_core.record.codec import decode_line
from mhc_core.record.frames import StepFrame, SummaryFrame
from mhc_core.record.summary import Story
from mhc_probe import Monitor, attach
from tests.probe.attach.attachable import rms
from tests.probe.monitor.models import KINDS, Tiny, draw_batches, train

EVERY, UPDATES = 3, 7


def watch(model: nn.Module, layers: Any, path: Path, rate: float = 1e-3, updates: int = UPDATES) -> list[StepFrame]:
    with Monitor(model, every=EVERY, to=path, layers=layers):
        train(model, updates, rate)
    return [frame for line in path.read_bytes().splitlines() if isinstance(frame := decode_line(line), StepFrame)]


def read_story(frame: StepFrame) -> Story:
    assert frame.story is not None
    return frame.story


def read_texts(frame: StepFrame) -> dict[str, str]:
    return {finding.key: finding.text for finding in read_story(frame).findings}


def freeze(model: Tiny, layers: int) -> Tiny:
    """Nothing below so many layers learns."""
    for part in (model.embed, *list(model.blocks)[:layers]):
        part.requires_grad_(False)
    return model


def measure_sizes(model: Tiny, updates: int) -> list[float]:
    """Size of the state after each layer, of a model that was trained so far without a monitor."""
    train(model, updates)
    batches, sizes = draw_batches(), []
    for _ in range(updates):
        next(batches)
    handles = [
        block.register_forward_hook(lambda module, inputs, output: sizes.append(rms(output.detach())))
        for block in model.blocks
    ]
    model(**next(batches))
    for handle in handles:
        handle.remove()
    return sizes


def test_each_step_says_where_activations_are_largest(tmp_path: Path) -> None:
    model = Tiny()
    frames = watch(model, model.blocks, tmp_path / "run.ndjson")
    assert len(frames) == 3
    for frame in frames:
        sizes = measure_sizes(Tiny(), frame.step * EVERY)
        largest = int(np.argmax(sizes))
        size = format_magnitude(float(np.log10(sizes[largest])))
        assert read_texts(frame)["peak"] == f"Activations are largest after layer {largest + 1}: {size}."


@pytest.mark.parametrize(
    ("frozen", "said"),
    [
        (0, "all 4 layers were recorded, forward and backward."),
        # The gradient at the top of the last frozen layer is still computed: the layer above needs none below.
        (3, "all 4 layers were recorded; 1 of them had a gradient."),
    ],
)
def test_each_step_says_which_layers_were_heard(frozen: int, said: str, tmp_path: Path) -> None:
    model = freeze(Tiny(), frozen)
    frames = watch(model, model.blocks, tmp_path / "run.ndjson")
    counts = ["0 updates", "3 updates", "6 updates"]
    assert [read_texts(frame)["heard"] for frame in frames] == [f"After {count} {said}" for count in counts]


def test_the_sentences_of_a_step_are_those_of_a_finished_trace(tmp_path: Path) -> None:
    """Compared with a model that was trained as far without a monitor, and then probed once."""
    frames = watch(KINDS["deepseek"].build(), None, tmp_path / "run.ndjson", updates=4)
    for frame in frames:
        other, batches = KINDS["deepseek"].build(), draw_batches()
        train(other, frame.step * EVERY)
        for _ in range(frame.step * EVERY):
            next(batches)
        with attach(other) as probe:
            other.zero_grad()
            other(**next(batches)).loss.backward()
        [summary] = [found for found in probe.frames() if isinstance(found, SummaryFrame)]
        story = read_story(frame)
        assert story.headline == summary.headline
        assert [found for found in story.findings if found.key not in ("heard", "peak")] == summary.findings


def test_alarms_come_first_and_the_newest_of_them_before_the_others(tmp_path: Path, caplog: Any) -> None:
    model = Tiny()
    with caplog.at_level(logging.WARNING):
        frames = watch(model, model.blocks, tmp_path / "run.ndjson", rate=3.0, updates=13)
    keys = [[finding.key for finding in read_story(frame).findings] for frame in frames]
    assert not any(key.startswith("alarm") for key in keys[0])
    assert keys[-1][0].startswith("alarm_")
    said = [finding.text for finding in read_story(frames[-1]).findings if finding.key.startswith("alarm_")]
    logged = [f"After {text.removeprefix('after ')}" for text in (record.getMessage() for record in caplog.records)]
    assert said == logged[::-1][:3]


def test_a_step_that_has_no_numbers_says_no_largest_one(tmp_path: Path) -> None:
    model = Tiny()
    with torch.no_grad():
        model.embed.weight.fill_(float("nan"))
    frames = watch(model, model.blocks, tmp_path / "run.ndjson", updates=1)
    texts = read_texts(frames[0])
    assert "peak" not in texts
    assert texts["heard"] == "After 0 updates all 4 layers were recorded, forward and backward."
