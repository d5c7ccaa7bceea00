"""Numbers in the cells of a matrix: the same from the page and from Python, and to be read on their colours."""

import re

import numpy as np
import plotly.colors
import plotly.io
import pytest

from mhc_core import figures
from mhc_core.figures.fill.fill import fill
from mhc_core.figures.fill.ink import EVEN, luminance, write_numbers
from mhc_core.figures.panel import View
from tests.core.figures.filled import (
    LABELS,
    assert_alike,
    decode_result,
    encode_lines,
    fill_in_page,
    get_template,
    list_views,
)

NUMBERED = [(key, view) for key, view in list_views() if key == "detail"]


@pytest.mark.sample(3)
@pytest.mark.parametrize("comparison", ["three", "overflow", "many streams", "one stream"])
@pytest.mark.parametrize(("key", "view"), NUMBERED, ids=[view.key for _, view in NUMBERED])
def test_pictures_of_the_page_write_numbers_as_python_does(key: str, view: View, comparison: str) -> None:
    lines = encode_lines(comparison)
    template = get_template(key, view, len(lines))
    results = [decode_result(part) for part in lines]
    theirs = iter(fill_in_page(template, list(lines), [4], ink=True))
    for narrow in (False, True):
        ours = fill(template, list(results), LABELS, 4, narrow)
        write_numbers(ours)
        assert_alike(ours, next(theirs), f"{comparison} {narrow}")


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("view", [view.key for _, view in NUMBERED])
def test_numbers_in_a_served_figure_can_be_read_on_their_cells(theme: figures.ThemeName, view: str) -> None:
    results = [decode_result(part) for part in encode_lines("three")]
    drawn = figures.figure("detail", list(results), LABELS, 3, theme, view)
    heats = [trace for trace in drawn.data if trace.type == "heatmap" and trace.visible is not False]
    texts = [trace for trace in drawn.data if trace.type == "scatter"]
    assert [trace.xaxis for trace in texts] == [trace.xaxis for trace in heats] == ["x2", "x3"]
    assert not any(trace.texttemplate for trace in heats)
    axis = drawn.layout.coloraxis
    for heat, text in zip(heats, texts, strict=True):
        for column, row, ink in zip(text.x, text.y, text.textfont.color, strict=True):
            share = (heat.z[row - 1][column - 1] - axis.cmin) / (axis.cmax - axis.cmin)
            (cell,) = plotly.colors.sample_colorscale([list(stop) for stop in axis.colorscale], [share])
            ground = luminance([float(part) for part in re.findall(r"[\d.]+", cell)])
            low, high = sorted([ground, 1.0 if ink == "#ffffff" else 0.0])
            assert (high + 0.05) / (low + 0.05) > 4.5, (row, column)
            assert (ink == "#000000") == (ground > EVEN)
    assert tuple(drawn.layout.yaxis2.range) == (4.5, 0.5), "text does not widen the axes"
    if view == "matrix":
        assert [float(number) for number in texts[0].text] == pytest.approx(np.ravel(heats[0].z), abs=5e-3)
