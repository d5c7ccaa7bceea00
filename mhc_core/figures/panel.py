"""Panels, and the building blocks of their figures.

A panel is a *template* of a figure: its layout and styles, without data. Traces state the source of their data in
`meta.fill`, and `layout.meta` states how axes and labels depend on the data. `mhc_core/figures` fills templates in
Python, and `static/js/figures` in the page, with labels at the lines where Python uses Plotly's legend.

Keys of `layout.meta`:

- `axes`: {axis: {"scale": "log"|"linear", "include": [values that stay visible], "limits": [low, high]}}
- `layers`: {axis: "line"|"cells"|"cells-down"|"sources"|"window"}, how the layers are placed on an axis; `sources`
  begins with the embedding as 0, and ends before the last layer; other axes follow their data
- `steps`: {axis: "line"|"cells"}, axes of training steps, on which the page marks the step of the cursor
- `grid`: {"direction": "rows"|"columns", "cell", "gap": sizes, "cells": [[x axis, y axis], ...]}, one heatmap per run;
  runs without data take no space
- `sums`: True if tick labels are row and column sums of the drawn matrices, and numbers are in their entries
- `diverging`: the colour scale of a difference of matrices
- `symmetric`: a colour axis with the same length on both sides of zero; `signed_log`: True if its data are on the
  logarithmic scale of `figures/scales.py`
- `composites`: "part" if composite gains are those of the chosen layers (`interval`, set while filling)
- `lost_rows`: metrics whose status says why a row of a matrix has no numbers; later ones have priority
- `lost`: {status: text for a curve without numbers, instead of the status}
- `empty`: text if no run has anything to draw
- `theme`: the theme's name; `colors`: colours of the runs, for heatmaps; `muted`, `ink`: colours of notes and of text
- `rules`: only in the page: the sizes and limits of `figures/rules.py`
- `remarks`: only in Python: a sentence for each run with data that are not drawn
- `unknown`: text for runs without data at the shown training step
- `absent`: {"key": a metric, often of another package, "text": text for runs that ended without it, "reasons": more
  precise texts, by default none; the first that applies replaces "text"}. A reason has a "text" and one condition:
  "unknown": the metric is not known at the shown training step; "with": a matrix that the run has; "without": a
  matrix that the run lacks, or has for a single stream only

Keys of a trace's `meta`: `run`, the index of its run; `key`, its metric; `fill`, the sources of its data; `end`,
whether it represents its run (the page labels its end, and Python's legend names it); `look`, the properties that are
those of the run's connection (`figures/dress.py`); `parts`, what `customdata` counts if one trace draws several lines,
such as "stream", which the page names at the cursor.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from mhc_core.figures.style import FONT, RunStyle, Theme

Trace = dict[str, Any]  # of a Plotly figure, as JSON
Template = dict[str, Any]  # a Plotly figure as JSON: "data", a list of traces, and "layout"
Build = Callable[[int, Theme], Template]
STREAM_LOOK = {"dash": True, "weight": 0.65}  # thin lines, because there may be many streams


@dataclass(frozen=True)
class Help:
    """The card's "?": formula, how to read it, the papers' symbol, and where it comes from."""

    formula: str
    reading: str
    symbol: str
    source: str


@dataclass(frozen=True)
class View:
    """One way to draw a panel, such as log or linear.

    meaning, unit: replace those of the panel if they are not empty. needs: a metric that only runs have which can fill
    the view. If no run has it, the page does not offer the view, but a link still opens it. If the first view of a
    panel needs a metric, this applies to the whole panel.
    """

    key: str
    title: str
    build: Build
    meaning: str = ""
    unit: str = ""
    needs: str = ""


@dataclass(frozen=True)
class Column:
    """A column of the card's table view, one for each run: title and metric.

    Source `row` is a row of a matrix, `streams` gives one column per stream, and `law` puts the law next to the
    measured value. Some sources change what a row of the table is, and must be alone in their table: with `steps` it
    is a step of training, with `read` an output that the cursor's layer reads, and with `features` a feature of that
    layer, with one column per stream.
    """

    title: str
    key: str
    source: str = "layers"


@dataclass(frozen=True)
class Panel:
    """One figure with its meaning.

    Attributes
    ----------
    key: its name in routes. title: its name for people. unit: of its numbers.
    meaning: one sentence.
    help: the text behind "?".
    group: the section of the page that shows it: strip, mixing, similarity, training or expert.
    live: whether it can be drawn while a run is being computed.
    views: at least one; the first is the default.
    table: the columns of the table view.
    follows_step: whether it can show a trained run at the cursor's training step (`figures/steps.py`). It then shows
        only data of that step, or, if there are none, those of the trained stack.
    over_steps: whether it shows training step by step, so that the page loads the steps together with the results.
    between: a function that builds views between those of `views`, if these are positions of a slider: from a key to
        the view, or None for other keys.
    """

    key: str
    title: str
    unit: str
    meaning: str
    help: Help
    group: str
    live: bool
    views: tuple[View, ...]
    table: tuple[Column, ...] = ()
    follows_step: bool = False
    over_steps: bool = False
    between: Callable[[str], View | None] | None = None

    def find_view(self, key: str | None) -> View | None:
        """Return the view with this key, by default the first; None if the panel has no such view."""
        if key is None:
            return self.views[0]
        listed = next((item for item in self.views if item.key == key), None)
        return self.between(key) if listed is None and self.between else listed

    def build(self, runs: int, theme: Theme, view: str | None = None) -> Template:
        """Build the template of the panel for `runs` runs. `view` is the key of a view, by default the first."""
        chosen = self.find_view(view)
        assert chosen is not None, f"{self.key} has no view {view}"
        return chosen.build(runs, theme)


STALE_NUMERICS = "No data for this step:<br>the run was stored by an earlier version."


def build_figure(theme: Theme, meta: dict[str, Any], **layout: Any) -> Template:
    """Build an empty figure in the common style. `layout` replaces parts of this style."""
    house: dict[str, Any] = {
        "template": {},  # Plotly's default template would add 7 KB of unused colours
        "paper_bgcolor": theme.card,
        "plot_bgcolor": "rgba(0,0,0,0)",  # otherwise the empty subplot of one run would cover the matrix of another
        "font": {"family": FONT, "size": 12, "color": theme.muted},
        "margin": {"l": 52, "r": 92, "t": 14, "b": 40},
        "showlegend": False,
        "hovermode": "x unified",
        "hoverlabel": {
            "bgcolor": theme.card,
            "bordercolor": theme.grid,
            "font": {"color": theme.ink, "size": 12},
        },
        "dragmode": "zoom",
        "meta": {**meta, "theme": theme.name, "ink": theme.ink, "muted": theme.muted},
    }
    return {"data": [], "layout": house | layout}


def quiet_axis(theme: Theme, **more: Any) -> dict[str, Any]:
    """Return Plotly's settings for an axis with a faint grid, and without a line or a zero line."""
    # Margins have room for all labels. A search for labels that overflow would take a fifth of the drawing time.
    quiet = {"gridcolor": theme.grid, "zeroline": False, "showline": False, "ticks": "", "ticklabeloverflow": "allow"}
    return {**quiet, **more}


def axis_title(text: str) -> dict[str, Any]:
    """Return Plotly's settings for the title of an axis."""
    return {"text": text, "font": {"size": 12}, "standoff": 6}


def layer_axis(theme: Theme, **more: Any) -> dict[str, Any]:
    """Return Plotly's settings for an axis over layers."""
    return quiet_axis(
        theme, title=axis_title("layer"), tickformat="d", nticks=8, unifiedhovertitle={"text": "layer %{x}"}, **more
    )


def build_lines(theme: Theme, scale: str, *, include: tuple[float, ...] = (), limits: Any = None) -> Template:
    """Build the template of curves over the layers, still without curves."""
    axis: dict[str, Any] = {"scale": scale, "include": list(include)}
    if limits is not None:
        axis["limits"] = limits
    return build_figure(
        theme,
        {"axes": {"yaxis": axis}, "layers": {"xaxis": "line"}},
        xaxis=layer_axis(theme),
        yaxis=quiet_axis(theme, nticks=6),
    )


def update_axes(figure: Template, letter: str, **changes: Any) -> None:
    """Set keys of all x or all y axes of a figure, in place. None removes a key."""
    for name, axis in figure["layout"].items():
        if name.startswith(f"{letter}axis"):
            axis |= changes
            for key in [key for key, value in changes.items() if value is None]:
                del axis[key]


def draw_level(y: float, theme: Theme) -> dict[str, Any]:
    """Return a thin horizontal line across the figure at y, below the curves, as a Plotly shape."""
    ends = {"x0": 0, "x1": 1, "xref": "x domain", "y0": y, "y1": y, "yref": "y"}
    return {"type": "line", **ends, "line": {"color": theme.muted, "width": 1}, "layer": "below"}


def curve(**keys: Any) -> Trace:
    """Return a Plotly trace of a line, which is interrupted at missing values."""
    return {"type": "scatter", "mode": "lines", "connectgaps": False, **keys}


def bottom_up(theme: Theme, runs: int) -> list[tuple[int, RunStyle]]:
    """Return index and style of each run in drawing order, so that the first run is on top.

    `figures/dress.py` later changes the order, so that dashed lines are above solid ones.
    """
    return [(run, theme.blank) for run in reversed(range(runs))]


def band(run: int, style: RunStyle, key: str, lower: str, upper: str) -> list[Trace]:
    """Return two traces of a run, the edges of a band, with a fill between them.

    lower, upper: data sources of the edges. key: the metric of both.
    """
    edge = {"line": {"width": 0, "color": style.color}, "hoverinfo": "skip"}
    common = {"run": run, "key": key, "end": False}
    metas = [{**common, "fill": {"x": "layer", "y": source}} for source in (lower, upper)]
    return [
        curve(meta={**metas[0], "look": {}}, **edge),
        curve(meta={**metas[1], "look": {"fill": True}}, fill="tonexty", **edge),
    ]


def seed_band(run: int, style: RunStyle, key: str, scale: str) -> list[Trace]:
    """Return the traces for several seeds of a run: the 5th to 95th percentile as a band, the first seed as a dotted
    line. The run's line (`line`) is then the median.
    """
    column = "log10" if scale == "log" else "layers"
    first = dots(run, style, key, f"first_seed.{column}.{key}", f"first_seed.text.{key}", "first seed")
    return [*band(run, style, key, f"p05.{column}.{key}", f"p95.{column}.{key}"), first]


def dots(run: int, style: RunStyle, key: str, y: str, text: str, what: str) -> Trace:
    """Return a dotted line without a name. `y` and `text` are data sources; `what` describes it at the pointer."""
    return curve(
        line={"color": style.color, "width": 1.5, "dash": "1px,3px"},
        meta={"run": run, "key": key, "fill": {"x": "layer", "y": y, "text": text}, "end": False, "look": {}},
        name="",
        hovertemplate=f"%{{text}} {what}",
    )


def line(run: int, style: RunStyle, key: str, scale: str, *, end: bool = True, **more: Any) -> Trace:
    """Return a trace of one metric over the layers; for several seeds, of the median.

    On a logarithmic axis, the data are log10, so that values beyond the range of float64 can be drawn.
    """
    column = "log10" if scale == "log" else "layers"
    fill = {"x": "layer", "y": f"middle.{column}.{key}", "text": f"middle.text.{key}", "name": "label"}
    follows = {"dash": True, **({} if "line" in more else {"weight": 1.0})}
    meta = {"run": run, "key": key, "fill": fill, "end": end, "look": follows}
    look = {"color": style.color, "width": style.width, "dash": style.dash}
    return curve(
        line={**look, **more.pop("line", {})},
        meta=meta,
        hovertemplate=more.pop("hovertemplate", "%{text}"),
        **more,
    )


def build_curves(
    key: str,
    scale: str,
    runs: int,
    theme: Theme,
    *,
    include: tuple[float, ...] = (),
    limits: Any = None,
    level: float | None = None,
    **meta: Any,
) -> Template:
    """Build a template with one curve per run, the values of a metric over the layers.

    level: the value of a thin horizontal line; default none. meta: is added to `layout.meta`.
    """
    figure = build_lines(theme, scale, include=include, limits=limits)
    figure["layout"]["meta"] |= meta
    if level is not None:
        figure["layout"]["shapes"] = [draw_level(level, theme)]
    add_curves(figure, runs, theme, key, scale)
    return figure


def add_curves(figure: Template, runs: int, theme: Theme, key: str, scale: str) -> None:
    """Add a curve of a metric for each run, above the bands over seeds of all runs."""
    for run, style in bottom_up(theme, runs):
        figure["data"] += seed_band(run, style, key, scale)
    for run, style in bottom_up(theme, runs):
        figure["data"].append(line(run, style, key, scale))


def stream_line(run: int, style: RunStyle, key: str, scale: str) -> Trace:
    """Return one trace that draws a thin line per stream. It is only one, because a template does not know the number
    of streams.
    """
    fill = {
        "x": f"stream_layer.{key}",
        "y": f"stream_{'log10' if scale == 'log' else 'layers'}.{key}",
        "text": f"stream_text.{key}",
        "customdata": f"stream_number.{key}",
        "name": "label",
    }
    return curve(
        line={"color": style.color, "width": STREAM_LOOK["weight"] * style.width, "dash": style.dash},
        # At the cursor the page names the stream of each value.
        meta={"run": run, "key": key, "fill": fill, "end": True, "parts": "stream", "look": STREAM_LOOK},
        hovertemplate="layer %{x}, stream %{customdata}<br>%{text}<extra>%{fullData.name}</extra>",
    )
