"""Figures with one heatmap per run, next to each other or in one column, with a common colour axis."""

from typing import Any

from mhc_core.figures.panel import Template, build_figure, layer_axis, quiet_axis
from mhc_core.figures.style import Theme

SIDE_BY_SIDE = {"direction": "columns", "cell": 100, "gap": 6}
X_FROM_1, Y_FROM_1 = {"x0": 1, "dx": 1}, {"y0": 1, "dy": 1}  # for matrices whose columns or rows are counted from 1


def signed_scale(theme: Theme) -> dict[str, Any]:
    """Return a colour axis of signed values, around 0."""
    return {"colorscale": theme.signed_scale, "cmid": 0.0}


def axis_ids(run: int) -> tuple[str, str]:
    """Return the names of a run's axes in traces: x, y for the first run, then x2, y2."""
    suffix = "" if run == 0 else str(run + 1)
    return f"x{suffix}", f"y{suffix}"


def axis_names(run: int) -> tuple[str, str]:
    """Return the names of a run's axes in the layout: xaxis, yaxis for the first run, then xaxis2, yaxis2."""
    suffix = "" if run == 0 else str(run + 1)
    return f"xaxis{suffix}", f"yaxis{suffix}"


def build_cells(
    runs: int,
    theme: Theme,
    grid: dict[str, Any],
    heat: dict[str, Any],
    coloraxis: dict[str, Any],
    **meta: Any,
) -> Template:
    """Build a template with one heatmap for each run, on separate axes.

    grid: the direction, and the relative sizes of a heatmap (`cell`) and of the gap between two. heat: the common keys
    of the traces, with `fill` and `key`. meta: is added to `layout.meta`.
    """
    names = [axis_names(run) for run in range(runs)]
    figure = build_figure(
        theme,
        {
            "grid": {**grid, "cells": names},
            "colors": [theme.blank.color] * runs,
            "diverging": theme.signed_scale,
            **meta,
        },
        margin={"l": 40, "r": 66, "t": 26, "b": 40},
        hovermode="closest",
        coloraxis={**coloraxis, "colorbar": colorbar(theme)},
    )
    look = {name: value for name, value in heat.items() if name not in ("fill", "key")}
    for run in range(runs):
        x_id, y_id = axis_ids(run)
        trace_meta = {"run": run, "key": heat["key"], "fill": {"name": "label", **heat["fill"]}}
        trace = {"type": "heatmap", "xaxis": x_id, "yaxis": y_id, "coloraxis": "coloraxis", "meta": trace_meta}
        figure["data"].append(trace | look)
        x_name, y_name = names[run]
        figure["layout"][x_name] = layer_axis(theme, anchor=y_id, showgrid=False)
        figure["layout"][y_name] = quiet_axis(theme, anchor=x_id, showgrid=False)
    return figure


def colorbar(theme: Theme) -> dict[str, Any]:
    """Return Plotly's settings for the thin colour bar at the right of matrices."""
    return {
        "thickness": 10,
        "len": 1.0,
        "lenmode": "fraction",
        "outlinewidth": 0,
        "ticks": "",
        "tickfont": {"size": 11, "color": theme.muted},
        "xpad": 12,
        "ypad": 0,
        "nticks": 5,
    }
