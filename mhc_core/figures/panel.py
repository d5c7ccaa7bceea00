"""What a panel is, and the parts that panels are drawn from.

A panel is a figure *template*: all of its look, none of its data. Traces say where their data comes from in
`meta.fill`, axes and labels say how they follow it in `layout.meta`. `mhc_core/figures` fills templates
in Python, and `static/js/figures` does so in the page, with labels where Python leaves names to Plotly's legend.

`layout.meta` knows:

- `axes`: {axis: {"scale": "log"|"linear", "include": [values kept in sight], "limits": [low, high]}}
- `layers`: {axis: "line"|"cells"|"cells-down"|"sources"|"window"}, how the layers span it, `sources` with the
  embedding as 0 and without the last layer; other axes follow their data
- `steps`: {axis: "line"|"cells"}, axes of the steps of training, where the cursor of the step stands
- `grid`: {"direction": "rows"|"columns", "cell", "gap": sizes, "cells": [[x axis, y axis], ...]}, one cell per run;
  cells without data close up
- `sums`: True, row and column sums of the drawn matrices as tick labels, and numbers in their cells
- `diverging`: the colour scale of a difference of matrices
- `symmetric`: a colour axis that spans the same on both sides of zero; `signed_log`: True, its data are on the
  logarithmic scale of `figures/scales.py`
- `composites`: "part" where chosen layers (`interval`, set while filling) have composite gains of their own
- `lost_rows`: metrics whose status says why a row has no numbers, the last one first: matrices say which rows, and why
- `lost`: {status: what to say of a curve without numbers, in place of the status}
- `empty`: what to say when no run has anything to draw
- `theme`: the theme's name; `colors`: of cells, those of the runs; `muted`, `ink`: colours of notes and of text
- `rules`: in the page alone, the sizes and limits of `figures/rules.py`, which Python has in place
- `remarks`: in Python alone, a sentence for each run of which something is not drawn
- `unknown`: what to say of runs without data at the step that is shown
- `absent`: {"key": a metric of another package, "text": what to say of runs that ended without it}

A trace's `meta` knows `run`, the place of its run; `key`, its metric; `fill`, where its data come from; `end`, whether
it stands for its run: the page labels its end, and Python's legend names it; `look`, what of it follows the run's
connection (`figures/dress.py`); and `parts`: what `customdata` counts where one trace draws several lines, such as
"stream", which the page names at the cursor.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from mhc_core.figures.style import FONT, RunStyle, Theme

Trace = dict[str, Any]  # of a Plotly figure, as JSON
Template = dict[str, Any]  # a Plotly figure as JSON: "data", a list of traces, and "layout"
Build = Callable[[int, Theme], Template]
STREAM_LOOK = {"dash": True, "weight": 0.65}  # of the lines of streams, which may be many


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

    `meaning` and `unit` replace those of the panel where the view shows something else. `needs` is a metric that
    only such runs have as can fill the view: without one the page does not offer it, though a link still opens it. If
    the first view of a panel needs one, this is true of the whole panel.
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
    key, title, unit: its name in routes, for people, and what the numbers are.
    meaning: one sentence.
    help: the text behind "?".
    group: the part of the page that shows it: strip, mixing, similarity, training or expert.
    live: whether it can be drawn while a run is going on.
    views: at least one; the first is the default.
    table: the columns of the table view.
    follows_step: whether it shows a trained run as it was at the cursor's step (`figures/steps.py`); all that it
        shows then is of the step, or of the trained stack where nothing is known of it.
    between: where views are stops of a scale, builds the view of a key between two of them; None for other keys.
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
    between: Callable[[str], View | None] | None = None

    def find_view(self, key: str | None) -> View | None:
        """Find a view by its key, the first without one; None if the panel has no such view."""
        if key is None:
            return self.views[0]
        listed = next((item for item in self.views if item.key == key), None)
        return self.between(key) if listed is None and self.between else listed

    def build(self, runs: int, theme: Theme, view: str | None = None) -> Template:
        """Build the template of the panel for that many runs; `view` is the key of a view, by default the first."""
        chosen = self.find_view(view)
        assert chosen is not None, f"{self.key} has no view {view}"
        return chosen.build(runs, theme)


STALE_NUMERICS = "No data for this step:<br>the run was stored by an earlier version."


def build_figure(theme: Theme, meta: dict[str, Any], **layout: Any) -> Template:
    """Build an empty figure in the house style, in which a panel's own layout has the last word."""
    house: dict[str, Any] = {
        "template": {},  # Plotly's default would add 7 KB of colours that nothing uses
        "paper_bgcolor": theme.card,
        "plot_bgcolor": "rgba(0,0,0,0)",  # or the empty subplot of one run would cover the matrix of another
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
    """Return an axis with a faint grid and neither line nor zero line."""
    # Margins hold every label: to look for those that overflow would take a fifth of each drawing.
    quiet = {"gridcolor": theme.grid, "zeroline": False, "showline": False, "ticks": "", "ticklabeloverflow": "allow"}
    return {**quiet, **more}


def axis_title(text: str) -> dict[str, Any]:
    """Return Plotly's settings for the title of an axis."""
    return {"text": text, "font": {"size": 12}, "standoff": 6}


def layer_axis(theme: Theme, **more: Any) -> dict[str, Any]:
    """Return Plotly's settings for an x axis that counts layers."""
    return quiet_axis(
        theme, title=axis_title("layer"), tickformat="d", nticks=8, unifiedhovertitle={"text": "layer %{x}"}, **more
    )


def build_lines(theme: Theme, scale: str, *, include: tuple[float, ...] = (), limits: Any = None) -> Template:
    """Build a figure of curves over the layers."""
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
    """Set keys of all x or all y axes of a figure; None removes a key."""
    for name, axis in figure["layout"].items():
        if name.startswith(f"{letter}axis"):
            axis |= changes
            for key in [key for key, value in changes.items() if value is None]:
                del axis[key]


def draw_level(y: float, theme: Theme) -> dict[str, Any]:
    """Return a thin line across the figure at y, below the curves."""
    ends = {"x0": 0, "x1": 1, "xref": "x domain", "y0": y, "y1": y, "yref": "y"}
    return {"type": "line", **ends, "line": {"color": theme.muted, "width": 1}, "layer": "below"}


def curve(**keys: Any) -> Trace:
    """Return a Plotly trace of a line that is interrupted where there is no value."""
    return {"type": "scatter", "mode": "lines", "connectgaps": False, **keys}


def bottom_up(theme: Theme, runs: int) -> list[tuple[int, RunStyle]]:
    """Return style and place of each run in drawing order, so that the first run is on top.

    `figures/dress.py` puts those on top that leave the others to be seen.
    """
    return [(run, theme.blank) for run in reversed(range(runs))]


def band(run: int, style: RunStyle, key: str, lower: str, upper: str) -> list[Trace]:
    """Return two traces of a run, the edges of a band, filled between.

    `lower` and `upper` are sources, `key` is the metric they belong to.
    """
    edge = {"line": {"width": 0, "color": style.color}, "hoverinfo": "skip"}
    common = {"run": run, "key": key, "end": False}
    metas = [{**common, "fill": {"x": "layer", "y": source}} for source in (lower, upper)]
    return [
        curve(meta={**metas[0], "look": {}}, **edge),
        curve(meta={**metas[1], "look": {"fill": True}}, fill="tonexty", **edge),
    ]


def seed_band(run: int, style: RunStyle, key: str, scale: str) -> list[Trace]:
    """Return the traces of a run's seeds: the 5th to 95th percentile as a band, and the first seed as a dotted line.

    The run's own line (`line`) is then the median.
    """
    column = "log10" if scale == "log" else "layers"
    first = dots(run, style, key, f"first_seed.{column}.{key}", f"first_seed.text.{key}", "first seed")
    return [*band(run, style, key, f"p05.{column}.{key}", f"p95.{column}.{key}"), first]


def dots(run: int, style: RunStyle, key: str, y: str, text: str, what: str) -> Trace:
    """Return a dotted line without a name: `y` and `text` are sources, `what` says at the pointer what it is."""
    return curve(
        line={"color": style.color, "width": 1.5, "dash": "1px,3px"},
        meta={"run": run, "key": key, "fill": {"x": "layer", "y": y, "text": text}, "end": False, "look": {}},
        name="",
        hovertemplate=f"%{{text}} {what}",
    )


def line(run: int, style: RunStyle, key: str, scale: str, *, end: bool = True, **more: Any) -> Trace:
    """Return a trace of one metric over the layers, drawn from log10 on a log axis, so that 1e401 can be drawn.

    For several seeds it is the median.
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
    """Build a figure with one curve per run, the values of a metric over the layers.

    `level` is the height of a thin line across it; `meta` is added to `layout.meta`.
    """
    figure = build_lines(theme, scale, include=include, limits=limits)
    figure["layout"]["meta"] |= meta
    if level is not None:
        figure["layout"]["shapes"] = [draw_level(level, theme)]
    add_curves(figure, runs, theme, key, scale)
    return figure


def add_curves(figure: Template, runs: int, theme: Theme, key: str, scale: str) -> None:
    """Add a curve for each run's values of a metric, in front of the bands of all runs' seeds."""
    for run, style in bottom_up(theme, runs):
        figure["data"] += seed_band(run, style, key, scale)
    for run, style in bottom_up(theme, runs):
        figure["data"].append(line(run, style, key, scale))


def stream_line(run: int, style: RunStyle, key: str, scale: str) -> Trace:
    """Return one trace with a thin line per stream: only the data say how many streams a run has."""
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
