"""Heatmaps of the gates of single features: one column per layer, one band of rows per stream, one row per feature."""

from mhc_core.figures.cells import SIDE_BY_SIDE, X_FROM_1, axis_names, build_cells
from mhc_core.figures.panel import Template, axis_title, update_axes
from mhc_core.figures.style import CIVIDIS, Theme

PLACE = "layer %{x}, stream %{y:.0f}, feature %{customdata}"


def build_gates(runs: int, theme: Theme) -> Template:
    """Build a heatmap of the mean gates of each run, with colours from 0 to 1."""
    return _build_heatmap("gates", runs, theme, cmin=0.0, cmax=1.0)


def build_own_range(runs: int, theme: Theme) -> Template:
    """Build a heatmap of the mean gates of each run, with colours from the least to the largest gate of all runs."""
    return _build_heatmap("gates", runs, theme)


def build_spread(runs: int, theme: Theme) -> Template:
    """Build a heatmap of the standard deviation of gates over tokens, with colours from the least to the largest."""
    return _build_heatmap("gates_std", runs, theme)


def _build_heatmap(key: str, runs: int, theme: Theme, **colors: float) -> Template:
    """Build a heatmap of a metric for each run, next to each other. `cmin` and `cmax` are ends of the colour scale."""
    heat = {
        "key": key,
        "fill": {
            "z": f"features.{key}",
            "customdata": f"feature_numbers.{key}",
            "y0": f"feature_start.{key}",
            "dy": f"feature_step.{key}",
        },
        **X_FROM_1,
        "hoverongaps": False,
        "hovertemplate": PLACE + "<br>%{z:.3g}<extra>%{fullData.name}</extra>",
    }
    layers = {axis_names(run)[0]: "cells" for run in range(runs)}
    figure = build_cells(runs, theme, SIDE_BY_SIDE, heat, {**colors, "colorscale": CIVIDIS}, layers=layers)
    update_axes(figure, "y", autorange="reversed", tickmode="linear", tick0=1, dtick=1, title=axis_title("stream"))
    return figure
