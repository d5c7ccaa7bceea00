"""The logit lens of models from elsewhere, against states that hooks by hand have taken."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from mhc_probe import attach
from mhc_probe.lens import read_layers
from tests.probe.attach.animals import WIDTH, draw_ids
from tests.probe.attach.zoo import ZOO

pytestmark = pytest.mark.full

Array = np.ndarray


def diverge(base: Array, found: Array) -> float:
    p, q = (np.exp(z) / np.exp(z).sum(-1, keepdims=True) for z in (base, found))
    return float((p * np.log(p / q)).sum(-1).mean())


def test_rows_of_gpt2_are_its_hidden_states_through_its_own_head() -> None:
    model = ZOO["GPT-2"].build().eval().double()
    ids = draw_ids()
    with attach(model) as probe:
        model(input_ids=ids)
    lens = read_layers(probe, lambda x_nNC: model.lm_head(model.transformer.ln_f(x_nNC[0])))
    with torch.no_grad():
        found = model(input_ids=ids, output_hidden_states=True)
        rows = [model.lm_head(model.transformer.ln_f(state)) for state in found.hidden_states[:-1]]
    logits = [row.flatten(0, 1).numpy() for row in [*rows, found.logits]]  # the last hidden state is normed already
    assert lens.kl == pytest.approx([diverge(logits[-1], row) for row in logits], rel=1e-12, abs=1e-12)
    np.testing.assert_array_equal(lens.likeliest, [row.argmax(-1) for row in logits])
    np.testing.assert_array_equal(lens.top, [(-row).argsort(-1)[:, :5] for row in logits])
    chances = [np.exp(row) / np.exp(row).sum(-1, keepdims=True) for row in logits]
    np.testing.assert_allclose(lens.top_probability, [-np.sort(-row)[:, :5] for row in chances], rtol=1e-12)
    assert lens.subsets == [(0,)]
    assert lens.kl_branches.shape == (3,)
    assert lens.kl[0] > 1e-3


def test_streams_are_read_alone() -> None:
    animal = ZOO["hyper-connections HC"]
    model: Any = animal.build().eval().double()
    readout_VC = torch.randn(11, WIDTH, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    states: list[Array] = []
    blocks = list(model.blocks)
    handles = [block.register_forward_hook(lambda *made: states.append(made[2].detach().numpy())) for block in blocks]
    x = torch.randn(2, 6, WIDTH, dtype=torch.float64, generator=torch.Generator().manual_seed(3))
    with attach(model) as probe:
        model(x)
    for handle in handles:
        handle.remove()
    lens = read_layers(probe, lambda x_nNC: x_nNC.sum(0) @ readout_VC.T)
    streams = [state.reshape(2, 4, 6, WIDTH).swapaxes(0, 1).reshape(4, 12, WIDTH) for state in states]
    last = streams[-1].sum(0) @ readout_VC.numpy().T
    for row, x_nNC in enumerate(streams):
        for place, subset in enumerate(lens.subsets):
            due = diverge(last, sum(x_nNC[stream] for stream in subset) @ readout_VC.numpy().T)
            assert lens.kl_subsets[row + 1, place] == pytest.approx(due, rel=1e-12, abs=1e-12)
    np.testing.assert_array_equal(lens.kl_subsets[:, -1], lens.kl)
