"""The figure of a sweep: one cell per run, coloured by one number of the run."""

import json
import math
import re
from collections.abc import Sequence
from itertools import chain
from typing import Any

import plotly.graph_objects as go

from mhc_core.figures.cells import colorbar
from mhc_core.figures.numbers import log_ticks, nice_step
from mhc_core.figures.panel import build_figure, quiet_axis
from mhc_core.figures.style import Theme, sample_color, to_contrast
from mhc_core.findings.numerals import format_value
from mhc_core.metric import Metric
from mhc_core.record.grid import Axis, Grid
from mhc_core.record.reduction import to_title
from mhc_core.spec import find_title

# Metrics that are factors of a signal. A factor of 1 changes nothing, and is the middle of their colour scale.
FACTORS = re.compile(r"gain|composite_(norm|sigma)|jacobian_sigma")
READABLE_COLUMNS = 14  # with at most this number of columns, each sweep cell has room for its number
ROOM_PX = 560  # width of all columns, in a figure of 700 px
LETTER = 0.6  # width of a letter relative to the font size
SIZES = (7, 12)  # least and largest font size in px
CELL_DIGITS = 3  # digits in a sweep cell; the text at the pointer has more
CROSS = "×"
MIN_SPAN = 0.05
SHORT_SPAN = 0.7  # in decades; a shorter colour bar may have ticks at 1, 2 and 5 only on one side of its middle
WAITING = {"held": "", "missing": "", "queued": "·", "running": "…"}


def build_sweep(grid: Grid, theme: Theme) -> go.Figure:
    """Build the figure of a sweep: a heatmap whose cells have equal sizes, whatever the distances of the swept values.

    A sweep cell without a number shows why.
    """
    is_log = grid.metric.scale == "log"
    x, y = grid.x, grid.y
    titles = to_axis_titles(x, y)
    columns = _to_ticks(x.values)
    rows = [""] if y is None else _to_ticks(y.values)
    numbers = [
        [log10 if is_log else value for value, log10 in zip(*pair, strict=True)]  # 0 has no place on a logarithmic axis
        for pair in zip(grid.values, grid.log10, strict=True)
    ]
    texts = [
        [_to_text(*cell) for cell in zip(*parts, strict=True)]
        for parts in zip(grid.values, grid.log10, grid.status, strict=True)
    ]
    known = [number for row in numbers for number in row if number is not None]
    empty = build_figure(
        theme,
        {},
        hovermode="closest",
        margin={"l": 60, "r": 76, "t": 30, "b": 48},
        coloraxis=_to_scale(grid.metric, is_log, known, theme),
        xaxis=_build_axis(theme, titles[0]),
        yaxis=_build_axis(theme, titles[1], showticklabels=y is not None),
        title={
            "text": to_title(grid.metric, grid.reduction),
            "font": {"size": 13, "color": theme.muted},
            "x": 0,
            "xref": "paper",
            "y": 0.98,
            "yanchor": "top",
        },
    )
    figure = go.Figure(empty)
    place = {"x": columns, "y": rows, "xgap": 2, "ygap": 2}
    hover = f"{titles[0]} %{{x}}" + (f"<br>{titles[1]} %{{y}}" if y is not None else "") + "<br>%{text}<extra></extra>"
    look = {"text": texts, "customdata": grid.ids, "hovertemplate": hover, **place}
    blank = [[0.0 if number is None else None for number in row] for row in numbers]
    paper = [[0, theme.grid], [1, theme.grid]]
    figure.add_trace(go.Heatmap(z=blank, colorscale=paper, showscale=False, **look))
    figure.add_trace(go.Heatmap(z=numbers, coloraxis="coloraxis", **look))
    figure.add_trace(_write_cells(grid, numbers, columns, rows, figure.layout.coloraxis, theme))
    return figure


def _write_cells(
    grid: Grid, numbers: list[list[float | None]], columns: list[str], rows: list[str], axis: Any, theme: Theme
) -> go.Scatter:
    """Return a trace with the texts of the sweep cells: numbers in black or white, whichever is legible, and in grey
    why there is no number.

    Cells that are too narrow for numbers still mark a missing number with a cross, because their grey is similar to the
    colour of 1.
    """
    scale = [list(stop) for stop in axis.colorscale]

    def choose_ink(number: float | None) -> str:
        """Return black or white, whichever has more contrast with the colour of this number's cell."""
        if number is None:
            return theme.muted
        color = sample_color(scale, (number - axis.cmin) / (axis.cmax - axis.cmin))
        return max("#000000", "#ffffff", key=lambda other: to_contrast(other, color))

    texts = [
        _to_text(*cell, CELL_DIGITS)
        for parts in zip(grid.values, grid.log10, grid.status, strict=True)
        for cell in zip(*parts, strict=True)
    ]
    if len(columns) > READABLE_COLUMNS:
        places = chain(*numbers)
        texts = [CROSS if place is None and text else "" for text, place in zip(texts, places, strict=True)]
    return go.Scatter(
        mode="text",
        x=columns * len(rows),
        y=[row for row in rows for _ in columns],
        text=texts,
        textfont={
            "color": [choose_ink(number) for row in numbers for number in row],
            "size": fit_font_size(texts, ROOM_PX / len(columns)),
        },
        hoverinfo="skip",
    )


def fit_font_size(texts: list[str], room: float) -> int:
    """Return the largest font size, in px, at which the longest text fits a cell of `room` px."""
    fits = math.floor(room / (LETTER * max(1, *map(len, texts))))
    return min(SIZES[1], max(SIZES[0], fits))


def to_axis_titles(x: Axis, y: Axis | None) -> tuple[str, str]:
    """Return the titles of the swept fields from the schema; "" if there is no second field."""
    return find_title(x.field), "" if y is None else find_title(y.field)


def _build_axis(theme: Theme, title: str, **more: Any) -> dict[str, Any]:
    """Return an axis of a sweep: one category for each value of a swept field."""
    words = {"text": title, "font": {"size": 12}, "standoff": 8}
    return quiet_axis(theme, type="category", title=words, showgrid=False, fixedrange=True, **more)


def _to_ticks(values: Sequence[Any]) -> list[str]:
    """Return the text of each swept value. Values with the same text in four digits are written with all digits."""
    ticks = [_to_tick(value) for value in values]
    return [json.dumps(value) if ticks.count(tick) > 1 else tick for value, tick in zip(values, ticks, strict=True)]


def _to_tick(value: Any) -> str:
    """Return a swept value as the text of a category, because Plotly would use a number as a position."""
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, dict):
        return _shorten_label(", ".join(_to_tick(part) for part in value.values()))
    return format_value(value) if isinstance(value, float) else _shorten_label(str(value))


def _shorten_label(text: str) -> str:
    return text if len(text) <= 16 else f"{text[:15]}…"


def _to_text(value: float | None, log10: float | None, status: str, digits: int = 4) -> str:
    """Format the number of a sweep cell, or why there is none."""
    if value is None and log10 is None:
        return WAITING.get(status, status)
    return format_value(value, log10, digits=digits)


def _to_scale(metric: Metric, is_log: bool, known: list[float], theme: Theme) -> dict[str, Any]:
    """Return the colour scale of a sweep: diverging around 1 for factors, diverging around 0 for signed values, else
    Cividis, from 0 to 1 if the values fit.
    """
    low, high = min(known, default=0.0), max(known, default=1.0)
    bound = max(abs(low), abs(high), MIN_SPAN)
    pad = max(0.0, MIN_SPAN - (high - low)) / 2  # values that hardly differ are in the middle of the scale
    scale: dict[str, Any] = {"colorscale": "Cividis", "cmin": low - pad, "cmax": high + pad}
    if (is_log and FACTORS.search(metric.key)) or (not is_log and low < 0):
        # As in matrices: values below the middle are magenta, those above it green.
        scale = {"colorscale": theme.signed_scale, "cmin": -bound, "cmax": bound}
    elif not is_log and high <= 1:
        scale = {"colorscale": "Cividis", "cmin": 0.0, "cmax": 1.0}
    bar = colorbar(theme)
    if is_log:
        places, texts = _bar_ticks(scale["cmin"], scale["cmax"])
        bar |= {"tickmode": "array", "tickvals": places, "ticktext": texts}
    return {**scale, "colorbar": bar}


def _bar_ticks(low: float, high: float) -> tuple[list[float], list[str]]:
    """Return the ticks of a sweep's colour bar between 10^low and 10^high.

    A short bar has three ticks: at round values near both ends, and in the middle.
    """
    if high - low >= SHORT_SPAN:
        return log_ticks(low, high)
    base = math.floor(low)
    ends = [10 ** (end - base) for end in (low, high)]
    step = nice_step((ends[1] - ends[0]) / 8)
    # If 1 is the middle, each side has a separate step, because the cold side is shorter in values.
    middle = 10.0**-base if low == -high else step * round(sum(ends) / 2 / step)
    values = [_step_towards(middle, ends[0]), middle, _step_towards(middle, ends[1])]
    places = [base + math.log10(value) for value in values]
    return places, [format_value(10**place if abs(place) < 300 else None, place) for place in places]


def _step_towards(middle: float, end: float) -> float:
    """Return the last round value between `middle` and `end`, in equal steps from `middle`."""
    step = nice_step(abs(end - middle) / 6)
    return middle + math.copysign(step, end - middle) * math.floor(abs(end - middle) / step + 1e-9)
