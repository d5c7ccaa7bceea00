"""Linear probes of models from elsewhere, against hidden states and regressions that are made by hand."""

from __future__ import annotations

import collections
from typing import Any

import numpy as np
import pytest
import torch

from mhc_probe import attach
from mhc_probe.linear_probe import TARGETS, probe_streams
from tests.core.measure.test_lens import fit_in_numpy
from tests.probe.attach.animals import TOKENS, WIDTH, draw_ids
from tests.probe.attach.zoo import ZOO

pytestmark = pytest.mark.full

SEQUENCES = 20
PADDING = 3  # tokens at the end of every second sequence


def mask_every_second() -> torch.Tensor:
    mask = torch.ones(SEQUENCES, TOKENS, dtype=torch.long)
    mask[1::2, TOKENS - PADDING :] = 0
    return mask


def list_pairs(ids: torch.Tensor, mask: torch.Tensor) -> list[tuple[int, int]]:
    """Sequence and position of every token that another one follows."""
    lengths = mask.sum(1).tolist()
    return [(b, t) for b in range(len(ids)) for t in range(lengths[b] - 1)]


def test_probes_of_gpt2_are_regressions_on_its_hidden_states() -> None:
    model = ZOO["GPT-2"].build().eval().double()
    ids, mask = draw_ids(SEQUENCES, TOKENS), mask_every_second()
    with attach(model) as probe:
        model(input_ids=ids, attention_mask=mask)
    found = probe_streams(probe, ids, mask)
    with torch.no_grad():
        states = model(input_ids=ids, attention_mask=mask, output_hidden_states=True).hidden_states[:-1]
    pairs = list_pairs(ids, mask)
    fit, test = ([pair for pair in pairs if (pair[0] < SEQUENCES // 2) is is_first] for is_first in (True, False))
    labels = {
        "position": lambda b, t: t,
        "token": lambda b, t: int(ids[b, t]),
        "next": lambda b, t: int(ids[b, t + 1]),
    }
    assert found.targets == TARGETS == tuple(labels)
    assert (found.fitted, found.tested) == (len(fit), len(test))
    assert found.accuracy.shape == (3, 4, 1)
    for place, read in enumerate(labels.values()):
        due = [np.array([read(*pair) for pair in half]) for half in (fit, test)]
        frequent = collections.Counter(sorted(due[0].tolist())).most_common(1)[0][0]
        assert found.chance[place] == np.mean(due[1] == frequent)
        for row, state in enumerate(states):
            x = [np.array([state[b, t].numpy() for b, t in half]) for half in (fit, test)]
            assert found.accuracy[place, row, 0] == fit_in_numpy(*x, *due), (place, row)
    assert (found.accuracy[:2, 0, 0] > found.chance[:2] + 0.3).all(), "the embedding has both"


def test_a_stream_that_carries_the_position_and_nothing_else() -> None:
    model: Any = ZOO["hyper-connections HC"].build().eval().double()
    ids = draw_ids(SEQUENCES, TOKENS)
    places = torch.randn(TOKENS, WIDTH, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    with attach(model) as probe:
        model(places.expand(SEQUENCES, -1, -1))
    found = probe_streams(probe, ids)
    position, token, _ = found.accuracy
    assert position.shape == (len(probe.choose()[0].layers) + 1, 4)
    assert (position[0] == 1).all()
    assert token[0] == pytest.approx(found.chance[1], abs=0.05)


@pytest.mark.parametrize(
    ("ids", "mask", "text"),
    [
        (draw_ids(2, TOKENS), mask_every_second()[:2], "wanted the 24 recorded ones"),
        (draw_ids(1, 2 * TOKENS), None, "got one sequence"),
        (draw_ids(24), None, r"wanted \(B, T\)"),
        (draw_ids(24, 1), None, "no two tokens in a row"),
    ],
)
def test_ids_that_do_not_fit_are_refused(ids: torch.Tensor, mask: torch.Tensor | None, text: str) -> None:
    model = ZOO["GPT-2"].build().eval()
    with attach(model) as probe:
        model(input_ids=draw_ids(2, TOKENS))
    with pytest.raises(ValueError, match=text):
        probe_streams(probe, ids, mask)
