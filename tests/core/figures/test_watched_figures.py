"""Figures of a model that was watched while it trained: its steps are called as its trainer calls them."""

from typing import Any

import numpy as np
import pytest

from mhc_core import figures
from mhc_core.figures.difference import fill_difference
from mhc_core.figures.filling import fill
from mhc_core.figures.panel import View
from mhc_core.figures.steps import at_step, count_received_steps, name_step
from tests.core.figures.filled import assert_same_values, decode_result, encode_lines, fill_in_page, list_views
from tests.watched import EVERY, ITERATIONS, NAME, capture_lines, capture_watched

STEP = 3
LABELS = [f"A {NAME}", "B HC"]
VIEWS = [(key, view) for key, view in list_views() if key in ("training", "activation", "gradient", "unfolded")]
IDS = [f"{key}-{view.key}" for key, view in VIEWS]


def train_beside() -> Any:
    """Lines of a run that trains four steps."""
    return encode_lines("trained")[0]


@pytest.mark.sample(6)
@pytest.mark.parametrize(("key", "view"), VIEWS, ids=IDS)
@pytest.mark.parametrize("difference", [False, True], ids=["as it is", "difference"])
def test_the_page_fills_in_what_python_fills_in(key: str, view: View, difference: bool) -> None:
    lines = [capture_lines(), train_beside()]
    panels = figures.to_response(2, "dark")["panels"]
    [panel] = [item for item in panels if item["key"] == key]
    [figure] = [item["figure"] for item in panel["views"] if item["key"] == view.key]
    step = None if key == "training" else STEP
    (theirs,) = fill_in_page(figure, lines, [1], labels=LABELS, step=step, difference=difference)
    results: list[Any] = [at_step(decode_result(part), step) for part in lines]
    assert_same_values((fill_difference if difference else fill)(figure, results, LABELS, 1), theirs, key)


def test_its_axis_and_its_title_say_the_trainer_s_numbers() -> None:
    result = capture_watched()
    assert ITERATIONS[:2] == [0, EVERY]
    loss = figures.figure("training", [result], LABELS[:1], 0, "light", view="loss")
    assert list(loss.data[0].x) == ITERATIONS
    np.testing.assert_allclose(loss.data[0].y, result.steps["step_loss"])
    gain = figures.figure("training", [result], LABELS[:1], 0, "light", view="gradient")
    assert list(gain.data[0].y) == ITERATIONS
    title = figures.figure("activation", [result], LABELS[:1], 0, "light", step=STEP).layout.title.text
    assert f"step {STEP * EVERY}" in title


def test_beside_a_run_that_trains_steps_are_counted() -> None:
    watched, trained = capture_watched(), decode_result(train_beside())
    assert count_received_steps(watched) == len(ITERATIONS)
    assert name_step([watched], STEP) == STEP * EVERY
    assert name_step([watched, trained], STEP) == STEP + 1
