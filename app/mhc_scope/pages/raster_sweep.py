"""Draw the figure of a sweep for the picture of a link: coloured cells, their numbers and the colour bar."""

import math
from typing import Any

import plotly.graph_objects as go

from mhc_core.figures.style import sample_color
from mhc_core.findings.numerals import format_value
from mhc_scope.pages.raster import Box, Canvas, measure, shorten

GAP = 2  # pixels between cells
SIZE = 16
LETTERS = (11, 17)  # smallest and largest font size of numbers; they are left out if the smallest does not fit
BAR = (16, 12)  # distance and width of the colour bar
BAR_STEPS = 64


def draw_sweep(canvas: Canvas, figure: go.Figure, box: Box) -> None:
    """Draw the cells of a sweep in `box`, with labels at the left and below, and a colour bar at the right."""
    _, cells, texts = figure.data
    left, top, width, height = box
    rows, columns = len(cells.z), len(cells.z[0])
    across, down = width / columns, height / rows
    scale = [list(stop) for stop in figure.layout.coloraxis.colorscale]
    low, high = figure.layout.coloraxis.cmin, figure.layout.coloraxis.cmax
    size = _fit_letters([text for text in texts.text if text], across - 4, down - 4)
    for row, numbers in enumerate(cells.z):
        for column, number in enumerate(numbers):
            # The first row is at the bottom.
            x, y = left + column * across, top + (rows - 1 - row) * down
            color = canvas.theme.grid if number is None else sample_color(scale, (number - low) / (high - low))
            canvas.draw_box((x + GAP / 2, y + GAP / 2, across - GAP, down - GAP), color)
            place = row * columns + column
            ink = texts.textfont.color[place]
            if size:
                canvas.draw_text(x + across / 2, y + down / 2, texts.text[place], size, ink, "mm")
    muted = canvas.theme.muted
    step = math.ceil(1.3 * SIZE / down)
    for row in range(0, rows, step):
        y = top + (rows - 0.5 - row) * down
        canvas.draw_text(left - 10, y, shorten(cells.y[row], SIZE, left - 10), SIZE, muted, "rm")
    step = math.ceil(max(measure(text, SIZE) + 8 for text in cells.x) / across)
    for column in range(0, columns, step):
        canvas.draw_text(left + (column + 0.5) * across, top + height + 16, cells.x[column], SIZE, muted, "mm")
    _draw_bar(canvas, figure.layout.coloraxis, scale, (left + width + BAR[0], top, BAR[1], height))


def _draw_bar(canvas: Canvas, axis: Any, scale: list[list[Any]], box: Box) -> None:
    """Draw the colour bar of a sweep, with its ticks."""
    left, top, width, height = box
    for step in range(BAR_STEPS):
        y = top + height * (1 - (step + 1) / BAR_STEPS)
        canvas.draw_box((left, y, width, height / BAR_STEPS + 0.5), sample_color(scale, (step + 0.5) / BAR_STEPS))
    places, texts = axis.colorbar.tickvals, axis.colorbar.ticktext
    if places is None:  # linear
        places = [axis.cmin, (axis.cmin + axis.cmax) / 2, axis.cmax]
        texts = [format_value(place, digits=3) for place in places]
    for place, text in zip(places, texts, strict=True):
        y = top + height * (axis.cmax - place) / (axis.cmax - axis.cmin)
        canvas.draw_tick(left + width + 8, y, text, SIZE, canvas.theme.muted, is_right=False)


def _fit_letters(texts: list[str], width: float, height: float) -> int:
    """Return the largest font size at which every text fits its cell; 0 if the smallest does not fit."""
    for size in range(LETTERS[1], LETTERS[0] - 1, -1):
        if size <= height and all(measure(text, size) <= width for text in texts):
            return size
    return 0
