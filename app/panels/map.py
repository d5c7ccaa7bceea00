"""The map of a sweep: one cell a run, coloured by one number of it."""

import re
from typing import Any

import plotly.graph_objects as go

from app.panels.base import build_figure, quiet_axis
from app.panels.cells import colorbar
from app.panels.numbers import format_value, log_ticks
from app.panels.style import Theme
from app.sweep_values import Grid
from mhc_core.metrics.registry import Metric

# Metrics that say by what a signal is multiplied: 1 changes nothing, and is the middle of their colours.
FACTORS = re.compile(r"gain|composite_(norm|sigma)|jacobian_sigma")
READABLE_COLUMNS = 14  # of which each leaves room for its number
LEAST_DECADES = 0.05
WAITING = {"held": "", "queued": "·", "running": "…"}


def build_map(grid: Grid, titles: tuple[str, str], theme: Theme) -> go.Figure:
    """A heatmap over equal cells, whatever the distance of the values; a cell without a number says why."""
    is_log = grid.metric.scale == "log"
    x, y = grid.sweep.x, grid.sweep.y
    columns = [_to_tick(value) for value in x.values]
    rows = [""] if y is None else [_to_tick(value) for value in y.values]
    numbers = [
        [_to_place(value, log10, is_log) for value, log10 in zip(*pair, strict=True)]
        for pair in zip(grid.values, grid.log10, strict=True)
    ]
    texts = [
        [_to_text(*cell) for cell in zip(*parts, strict=True)]
        for parts in zip(grid.values, grid.log10, grid.status, strict=True)
    ]
    known = [number for row in numbers for number in row if number is not None]
    figure = build_figure(
        theme,
        {"ink": theme.ink, "muted": theme.muted},
        hovermode="closest",
        margin={"l": 60, "r": 76, "t": 30, "b": 48},
        coloraxis=_to_scale(grid.metric, is_log, known, theme),
        xaxis=_axis(theme, titles[0]),
        yaxis=_axis(theme, titles[1], showticklabels=y is not None),
        title={
            "text": f"{grid.metric.title}, {_NAMES[grid.reduction]}",
            "font": {"size": 13, "color": theme.muted},
            "x": 0,
            "xref": "paper",
            "y": 0.98,
            "yanchor": "top",
        },
    )
    place = {"x": columns, "y": rows, "xgap": 2, "ygap": 2}
    hover = f"{titles[0]} %{{x}}" + (f"<br>{titles[1]} %{{y}}" if y is not None else "") + "<br>%{text}<extra></extra>"
    is_readable = len(columns) <= READABLE_COLUMNS
    common = {"text": texts, "customdata": grid.sweep.ids, "hovertemplate": hover, **place}
    blank = [[0.0 if number is None else None for number in row] for row in numbers]
    look = {"texttemplate": "%{text}" if is_readable else "", "textfont": {"size": 11}, **common}
    paper = [[0, theme.grid], [1, theme.grid]]
    figure.add_trace(go.Heatmap(z=blank, colorscale=paper, showscale=False, **look))
    figure.add_trace(go.Heatmap(z=numbers, coloraxis="coloraxis", **look))
    return figure


_NAMES = {
    "max": "largest over layers",
    "min": "least over layers",
    "median": "median over layers",
    "first": "first layer",
    "last": "last layer",
}


def _axis(theme: Theme, title: str, **more: Any) -> dict[str, Any]:
    words = {"text": title, "font": {"size": 12}, "standoff": 8}
    return quiet_axis(theme, type="category", title=words, showgrid=False, fixedrange=True, **more)


def _to_tick(value: Any) -> str:
    """Any value of a spec as a category; a number would be taken as a position."""
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, dict):
        return _shorten(", ".join(_to_tick(part) for part in value.values()))
    return format_value(value) if isinstance(value, float) else _shorten(str(value))


def _shorten(text: str) -> str:
    return text if len(text) <= 16 else f"{text[:15]}…"


def _to_place(value: float | None, log10: float | None, is_log: bool) -> float | None:
    """Where a number stands on the colour axis; a true zero of a logarithmic one stands nowhere."""
    return log10 if is_log else value


def _to_text(value: float | None, log10: float | None, status: str) -> str:
    if value is None and log10 is None:
        return WAITING.get(status, status)
    return format_value(value, log10)


def _to_scale(metric: Metric, is_log: bool, known: list[float], theme: Theme) -> dict[str, Any]:
    """Diverging round 1 for factors and round 0 for signed values; Cividis for the rest, over 0 to 1 where they fit."""
    diverging: list[Any] = [list(stop) for stop in theme.diverging]
    low, high = min(known, default=0.0), max(known, default=1.0)
    bound = max(abs(low), abs(high), LEAST_DECADES)
    scale: dict[str, Any] = {"colorscale": "Cividis", "cmin": low, "cmax": max(high, low + LEAST_DECADES)}
    if is_log and FACTORS.search(metric.key):
        # Growth is the warm side, as HC's colour is.
        reverse = [[1 - stop, color] for stop, color in reversed(theme.diverging)]
        scale = {"colorscale": reverse, "cmin": -bound, "cmax": bound}
    elif not is_log and low < 0:
        scale = {"colorscale": diverging, "cmin": -bound, "cmax": bound}
    elif not is_log and high <= 1:
        scale = {"colorscale": "Cividis", "cmin": 0.0, "cmax": 1.0}
    bar = colorbar(theme)
    if is_log:
        places, texts = log_ticks(scale["cmin"], scale["cmax"])
        bar |= {"tickmode": "array", "tickvals": places, "ticktext": texts}
    return {**scale, "colorbar": bar}
