"""The atlas of a model from elsewhere, compared with single edited passes, and in its record."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest
import torch

from mhc_core.record import container
from mhc_core.record.result import Result
from mhc_core.spec import SpecError
from mhc_probe import attach
from tests.probe.attach.animals import draw_ids
from tests.probe.attach.zoo import ZOO

pytestmark = pytest.mark.full

BATCH = {"input_ids": draw_ids(), "labels": draw_ids()}


def build(name: str) -> Any:
    return ZOO[name].build().eval()


@pytest.mark.parametrize(
    ("name", "shape"), [pytest.param("DeepSeek-V4", (3, 6, 4), marks=pytest.mark.full), ("GPT-2", (2, 3, 1))]
)
def test_every_cell_is_an_edited_pass(name: str, shape: tuple[int, ...]) -> None:
    model = build(name)
    shares: list[float] = []
    atlas = attach(model).atlas(BATCH, shares.append)
    assert shares[-1] == 1
    assert shares == sorted(shares)
    assert {key: value.shape for key, value in atlas.values.items()} == dict.fromkeys(
        ("loss", "output_kl", "effect_last"), shape
    )
    with torch.no_grad():
        assert atlas.loss_base == pytest.approx(float(model(**BATCH).loss), rel=1e-7)
        for k, layer, stream in ((0, 0, 0), (1, shape[1] - 1, shape[2] - 1), (shape[0] - 1, 1, shape[2] // 2)):
            cut = atlas.cuts[k]
            index = None if cut.what == "branch" else stream
            given = {"layers": [layer, layer], "what": cut.what, "index": index, "do": cut.do}
            with attach(model, edits=[given]) as probe:
                model(**BATCH)
            result = probe.result()
            for key, wanted in (
                ("loss", result.loss),
                ("output_kl", result.output_kl),
                ("effect_last", result.layers["effect_state"][-1]),
            ):
                assert atlas.values[key][k, layer, stream] == pytest.approx(wanted, rel=1e-5), key
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in model.modules())


def test_a_record_carries_the_atlas() -> None:
    model = build("GPT-2")
    probe = attach(model)
    with probe:
        model(**BATCH).loss.backward()
    atlas = probe.atlas(BATCH)
    content = probe.result().to_bytes()
    read = Result()
    for frame in container.read_frames(io.BytesIO(content)):
        read.add(frame)
    assert read.atlas is not None
    assert read.atlas.cuts == atlas.cuts
    for key, value in atlas.values.items():
        np.testing.assert_array_equal(read.atlas.values[key], value)


def test_an_atlas_that_is_interrupted_leaves_the_model_as_it_was() -> None:
    model = build("hyper-connections HC")
    x = torch.ones(2, 12, 32)
    before = model(x)

    def stop(share: float) -> None:
        if share > 0.3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        attach(model).atlas(lambda: model(x), stop)
    assert torch.equal(model(x), before)
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in model.modules())
    assert not any("width_connection" in block.__dict__ for block in model.blocks)


def test_what_cannot_be_cut_is_refused() -> None:
    model = build("BERT")
    with pytest.raises(SpecError, match="whose streams or branches can be edited"):
        attach(model).atlas({"input_ids": draw_ids()})
    with pytest.raises(RuntimeError, match="outside of the context"), attach(model) as probe:
        probe.atlas({"input_ids": draw_ids()})
