"""Figures over REST and in notebooks: Plotly's own legend and margins, and each run named once."""

from collections.abc import Iterable
from itertools import combinations
from typing import Any

import plotly.graph_objects as go
import pytest

from mhc_core import figures
from mhc_core.figures.panel import View
from tests.core.figures.filled import COMPARISONS, LABELS, decode_result, decode_runs, encode_lines, list_views

CASES = [(key, view) for key, view in list_views() if view.key != "tokens_bwd"]
WIDTH, LETTER_PX, LINE_PX, MARGINS_PX = 700, 7.2, 15, 106  # of a figure, its words, and both margins of matrices
LONG = [f"{letter} {'mixing ' * 3}again" for letter in "ABCD"]

Box = tuple[float, float, float, float]  # left, bottom, right, top in pixels of the plot


def draw(key: str, comparison: str, view: str | None = None, **more: Any) -> go.Figure:
    results = decode_runs(comparison)
    return figures.figure(key, results, LABELS[: len(results)], 2, "dark", view, **more)


def list_shown(drawn: go.Figure) -> list[Any]:
    return [trace for trace in drawn.data if trace.visible is not False]


def list_boxes(drawn: go.Figure) -> Iterable[Box]:
    """About where the names above matrices are."""
    layout = drawn.layout
    width, height = WIDTH - MARGINS_PX, layout.height - layout.margin.t - layout.margin.b
    for note in layout.annotations:
        if note.xref != "paper":  # or it is the one sentence in an empty figure
            left = width * layout[f"xaxis{note.xref.removesuffix(' domain')[1:]}"].domain[0]
            bottom = height * layout[f"yaxis{note.yref.removesuffix(' domain')[1:]}"].domain[1]
            yield left, bottom, left + LETTER_PX * len(note.text), bottom + LINE_PX


def assert_apart(drawn: go.Figure) -> None:
    boxes = list(list_boxes(drawn))
    for one, other in combinations(boxes, 2):
        is_beside = one[2] <= other[0] or other[2] <= one[0]
        assert is_beside or one[3] <= other[1] or other[3] <= one[1], (one, other)
    assert all(left >= -1 and right <= WIDTH - MARGINS_PX for left, _, right, _ in boxes)


@pytest.mark.sample("values", 9)
@pytest.mark.parametrize("difference", [False, True], ids=["as it is", "difference"])
@pytest.mark.parametrize("comparison", [name for name in COMPARISONS if name != "kept"])
@pytest.mark.parametrize(("key", "view"), CASES, ids=[f"{key}-{view.key}" for key, view in CASES])
def test_each_run_is_named_once(key: str, view: View, comparison: str, difference: bool) -> None:
    drawn = draw(key, comparison, view.key, difference=difference)
    shown = list_shown(drawn)
    runs = sorted({trace.meta["run"] for trace in shown})
    if not shown:
        assert len(drawn.layout.annotations) == 1, "it says why it is empty"
    elif shown[0].type == "heatmap":
        assert not drawn.layout.showlegend, "it would show one colour scale for every run"
        names = {note.xref: note.text for note in drawn.layout.annotations}
        assert names == {f"{trace.xaxis} domain": trace.name for trace in shown}
    else:
        assert drawn.layout.showlegend
        assert not drawn.layout.annotations
        listed = sorted((trace for trace in shown if trace.showlegend), key=lambda trace: trace.legendrank)
        assert [trace.meta["run"] for trace in listed] == runs, "in the order of the runs"
        for trace in listed:
            assert (trace.legendgrouptitle.text or trace.name)[0] == LABELS[trace.meta["run"]][0]
    assert_apart(drawn)


def test_long_names_of_four_matrices_do_not_overlap() -> None:
    results = [decode_result(encode_lines("three")[run]) for run in (0, 1, 2, 1)]
    for key, view in (("cka", "map"), ("mixing", "strip"), ("unfolded", "log")):
        drawn = figures.figure(key, results, LONG, 2, "light", view)
        assert len(drawn.layout.annotations) == len(list_shown(drawn)) > 2
        assert_apart(drawn)
        names = [trace.name for trace in list_shown(drawn)]
        assert all(label in "".join(names) for label in LONG[1:3]), "traces keep their whole names"


def test_margins_are_plotlys_and_what_is_missing_is_said_below_the_title() -> None:
    whole, lost = draw("activation", "three"), draw("activation", "overflow")
    assert all(drawn.layout[axis].automargin for drawn in (whole, lost) for axis in ("xaxis", "yaxis"))
    assert whole.layout.title.subtitle.text == ""
    remarks = lost.layout.title.subtitle.text.split("<br>")
    assert [remark.split(":")[0] for remark in remarks] == LABELS[:2]
    assert all(" from layer " in remark for remark in remarks)
    assert lost.layout.margin.t - whole.layout.margin.t == lost.layout.height - whole.layout.height > LINE_PX


def test_a_curve_that_is_zero_everywhere_has_no_place_on_a_logarithmic_axis_and_is_named() -> None:
    result = decode_result(encode_lines("three")[1])
    result.layers["act_rms"][:] = 0.0
    result.layers_log10["act_rms"][:] = float("nan")
    drawn = figures.figure("activation", [result], ["A HC"], 2, "light")
    assert drawn.layout.title.subtitle.text == "A HC: 0"


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_numbers_are_in_cells_that_have_room_and_sums_beside_them(theme: figures.ThemeName) -> None:
    results = [decode_result(part) for part in encode_lines("three")]
    for view in ("matrix", "up_to"):
        drawn = figures.figure("detail", results, LABELS[:3], 3, theme, view)
        shown = list_shown(drawn)
        assert {trace.texttemplate for trace in shown} == {"%{text}"}
        assert all(trace.textfont.color is None for trace in shown), "Plotly chooses black or white"
        assert all(text.startswith("Σ ") for text in drawn.layout.yaxis2.ticktext)
    wide = draw("detail", "many streams", "matrix")
    assert {trace.texttemplate for trace in list_shown(wide)} == {""}
    assert len(wide.layout.yaxis.ticktext) == 16
