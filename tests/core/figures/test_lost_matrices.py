"""Matrices of a step that are not finite: what is known of them is drawn, on the page and in Python."""

from functools import cache
from typing import Any

import numpy as np
import plotly.io
import pytest

from mhc_core import figures
from mhc_core.figures.filling import fill
from mhc_core.figures.panel import View
from mhc_core.figures.steps import at_step
from mhc_core.measure.run import run
from mhc_core.record.codec import encode_end, encode_frame
from mhc_core.spec import parse_spec
from tests.core.figures.filled import assert_same_values, decode_result, fill_in_page, get_template, list_views

SPEC: dict[str, Any] = {
    "depth": 5, "width": 8, "block": {"heads": 2}, "input": {"tokens": 8}, "connection": {"kind": "hc"},
    "train": {"steps": 3, "kept": 3},
}  # fmt: skip
LABELS = ["A HC"]
STEP, WHOLE, PART = 1, 1, 3  # the step, a layer whose matrix is lost, and one with a lost entry
VIEWS = [(key, view) for key, view in list_views() if key in ("mixing", "detail", "unfolded")]


@cache
def lost_lines() -> list[bytes]:
    """A trained run, one of whose steps has matrices that are not finite."""
    frames = list(run(parse_spec(SPEC)))
    (step,) = [frame for frame in frames if frame.type == "step" and frame.step == STEP]
    matrices = np.array(step.values["step_h_res"])
    matrices[WHOLE], matrices[PART, 0, 1] = np.nan, np.nan
    step.values["step_h_res"] = matrices
    lines = [encode_frame(frame, "run", index) for index, frame in enumerate(frames)]
    return [*lines, encode_end("run", len(lines), "done", None)]


@pytest.mark.sample(3)
@pytest.mark.parametrize("layer", [WHOLE, PART])
@pytest.mark.parametrize(("key", "view"), VIEWS, ids=[f"{key} {view.key}" for key, view in VIEWS])
def test_page_and_figures_show_what_is_known(key: str, view: View, layer: int) -> None:
    template = get_template(key, view, 1)
    result = at_step(decode_result(lost_lines()), STEP)
    (theirs,) = fill_in_page(template, [lost_lines()], [layer], labels=LABELS, step=STEP)
    assert_same_values(fill(template, [result], LABELS, layer), theirs, f"{key} {view.key}")
    text = figures.figure(key, [decode_result(lost_lines())], LABELS, layer, "dark", view.key, step=STEP).to_json()
    assert "NaN" not in text
    assert plotly.io.from_json(text).data
