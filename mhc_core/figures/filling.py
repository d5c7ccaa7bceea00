"""Fills a panel's template with the columns of runs, for REST, notebooks and scripts.

In the page, `static/js/figures/fill.js` computes the same numbers, scales and colours; tests compare them. Here names
are in Plotly's legend; the page places them next to the lines instead.

Templates and figures are plain data here, in the form of `to_plotly_json`, which `go.Figure` accepts.
"""

import copy
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from mhc_core.figures.dress import dress
from mhc_core.figures.numbers import log_ticks
from mhc_core.figures.remarks import explain_absent, find_unknown, list_remarks
from mhc_core.figures.run_names import shorten_name
from mhc_core.figures.scales import linear_bound, signed_log_scale
from mhc_core.figures.sources import Columns, look_up
from mhc_core.figures.sums import write_sums

MIN_SPAN = {"log": 0.6, "linear": 1e-9}
WINDOW_COLUMNS = 120  # number of visible matrix columns on a wide card, so that a cell has about six pixels
FEW_LAYERS = 6
LETTERS_ABREAST = 78  # total number of letters of the names above all matrices, in a figure of 700 px

Figure = dict[str, Any]


def fill(
    template: Figure,
    results: list[Columns | None],
    labels: list[str],
    cursor: int,
    methods: Sequence[str | None] | None = None,
) -> Figure:
    """Return a copy of a template filled with the data of `results`, in the template's order of runs.

    cursor: a layer from 0. methods: the kinds of connection that set colours and dashes; needed if results are None,
    such as the run that others are compared with; by default those of the results. `layout.meta.remarks` has a sentence
    on data of a run that cannot be drawn.
    """
    figure = copy.deepcopy(template)
    layout = figure["layout"]
    dress(figure, methods or [None if result is None else result.method for result in results])
    for trace in figure["data"]:
        run = trace["meta"]["run"]
        _fill_trace(trace, results[run] if run < len(results) else None, labels, cursor)
    _blank_outside_interval(figure)
    layers = max((result.depth for result in results if result is not None), default=1)
    meta, shown = layout["meta"], _list_visible(figure)
    for name, rule in meta.get("axes", {}).items():
        _set_range(layout[name], rule, shown)
    if "grid" in meta:
        _place_cells(figure)
    _span_layers(figure, layers, cursor)
    if "symmetric" in meta:
        _center_colors(figure, results)
    if meta.get("sums"):
        write_sums(layout, shown, results, cursor)
    layout["annotations"] = [_name_matrix(trace, layout) for trace in shown] if "grid" in meta else []
    if "axes" in meta:
        _show_legend(layout, shown, labels)
    if shown:
        meta["remarks"] = list_remarks(figure, results, labels)
    else:
        _explain_nothing(figure, results, labels)
    return figure


def _explain_nothing(figure: Figure, results: list[Columns | None], labels: Sequence[str]) -> None:
    """Write why the figure is empty, and remove the tick labels of its axes, which would have no meaning."""
    layout, meta = figure["layout"], figure["layout"]["meta"]
    for name in [name for name in layout if name.startswith(("xaxis", "yaxis"))]:
        layout[name]["showticklabels"] = False
    text = meta["unknown"] if find_unknown(figure, results) else meta.get("empty")
    reasons = explain_absent(figure, results)
    lines = [f"{', '.join(labels[run] for run in runs)}: {reason}" for reason, runs in reasons.items()]
    text = "<br>".join(lines if len(lines) > 1 else reasons) or text
    if text is not None:
        middle = {"xref": "paper", "yref": "paper", "x": 0.5, "y": 0.5, "xanchor": "center", "yanchor": "middle"}
        layout["annotations"] = [{**middle, "text": text, "showarrow": False, "font": {"color": meta["muted"]}}]


def _show_legend(layout: dict[str, Any], shown: list[dict[str, Any]], labels: list[str]) -> None:
    """Show each run once in the legend, in the order of runs; a click on a run hides its band as well."""
    layout["showlegend"] = True
    named = {trace["meta"]["run"] for trace in shown if trace["meta"]["end"]}
    for trace in shown:
        run = trace["meta"]["run"]
        is_listed = trace["meta"]["end"] or run not in named
        trace |= {"showlegend": is_listed, "legendgroup": str(run), "legendrank": run + 1}
        if run not in named:  # such as a figure of differences in which only the median over tokens can be compared
            trace["legendgrouptitle"] = {"text": labels[run]}


def _list_visible(figure: Figure) -> list[dict[str, Any]]:
    return [trace for trace in figure["data"] if trace.get("visible", True)]


def _fill_trace(trace: dict[str, Any], result: Columns | None, labels: list[str], cursor: int) -> None:
    """Fill the attributes of a trace with the run's data that they name; hide the trace if the run lacks any of it."""
    if result is None:
        trace["visible"] = False
        return
    label = labels[trace["meta"]["run"]]
    for attribute, source in trace["meta"]["fill"].items():
        data = look_up(source, result, label, cursor)
        if data is None:
            trace["visible"] = False
            return
        trace[attribute] = data


def _blank_outside_interval(figure: Figure) -> None:
    """Replace the values of curves outside the chosen interval by None, in place, so that axes and labels only cover
    the interval.
    """
    meta = figure["layout"]["meta"]
    if "interval" not in meta or meta.get("layers", {}).get("xaxis") != "line":
        return
    first, last = meta["interval"]
    for trace in _list_visible(figure):
        pairs = zip(trace["x"], trace["y"], strict=True)
        trace["y"] = [value if layer is not None and first < layer <= last + 1 else None for layer, value in pairs]


# ---- curves


def _set_range(axis: dict[str, Any], rule: dict[str, Any], shown: list[dict[str, Any]]) -> None:
    """Set the range of an axis to that of the visible data, and its ticks if it is logarithmic."""
    low, high = _data_range(rule, shown)
    axis |= {"range": [low, high], "autorange": False}
    if rule["scale"] == "log":
        places, texts = log_ticks(low, high)
        axis |= {"tickmode": "array", "tickvals": places, "ticktext": texts}


def _data_range(rule: dict[str, Any], shown: list[dict[str, Any]]) -> tuple[float, float]:
    """Return the ends of an axis: the range of the visible values with a margin, at least `MIN_SPAN`, within limits."""
    values = [value for trace in shown for value in trace["y"] if value is not None]
    values += rule["include"]
    if not values:
        return (0.0, 1.0)
    low, high = min(values), max(values)
    least = max(MIN_SPAN[rule["scale"]], 1e-3 * abs(high))
    if high - low < least:
        middle = (low + high) / 2
        low, high = middle - least / 2, middle + least / 2
    pad = 0.05 * (high - low)
    low, high = low - pad, high + pad
    if "limits" in rule:
        low, high = max(low, rule["limits"][0] - pad), min(high, rule["limits"][1] + pad)
    return low, high


# ---- layers along an axis


def _span_layers(figure: Figure, layers: int, cursor: int) -> None:
    """Set the range of each axis over layers to the interval or window of layers that it shows."""
    interval = figure["layout"]["meta"].get("interval", (0, layers - 1))  # first and last visible layer, from 0
    for name, kind in figure["layout"]["meta"].get("layers", {}).items():
        span = _layer_range(figure, kind, interval, cursor)
        figure["layout"][name] |= {"range": span, "autorange": False}
        if abs(span[1] - span[0]) <= FEW_LAYERS:  # otherwise there would be ticks at half layers
            figure["layout"][name] |= {"tickmode": "linear", "tick0": 1, "dtick": 1}


def _layer_range(figure: Figure, kind: str, interval: tuple[int, int], cursor: int) -> list[float]:
    """Return the ends of an axis over layers: the whole interval, or for the kind `window` a part around the cursor."""
    first, last = interval
    if kind == "line":
        pad = 0.5 if first == last else 0.01 * (last - first)
        return [first + 1 - pad, last + 1 + pad]
    if kind == "cells":
        return [first + 0.5, last + 1.5]
    if kind == "cells-down":
        return [last + 1.5, first + 0.5]
    if kind == "sources":
        return [first - 0.5, last + 0.5]
    layers = last - first + 1
    steps = [trace["dx"] for trace in _list_visible(figure)]
    width = min(layers, max(4, math.floor(WINDOW_COLUMNS * min(steps, default=1))))
    start = min(max(cursor + 1 - (width - 1) / 2, first + 1), last - width + 2)
    return [start - 0.5, start + width - 0.5]


# ---- matrices


def _place_cells(figure: Figure) -> None:
    """Divide the space among the runs with a matrix, and hide the axes of the others."""
    layout, grid = figure["layout"], figure["layout"]["meta"]["grid"]
    rows = grid["direction"] == "rows"
    present = [trace["meta"]["run"] for trace in _list_visible(figure)]
    whole = len(present) * grid["cell"] + max(0, len(present) - 1) * grid["gap"]
    for run, (x_name, y_name) in enumerate(grid["cells"]):
        x_axis, y_axis = layout[x_name], layout[y_name]
        x_axis["visible"] = y_axis["visible"] = run in present
        if run not in present:
            continue
        place = present.index(run)
        start = place * (grid["cell"] + grid["gap"])
        share = [start / whole, (start + grid["cell"]) / whole]
        x_axis["domain"] = [0, 1] if rows else share
        y_axis["domain"] = [1 - share[1], 1 - share[0]] if rows else [0, 1]
        if not layout["meta"].get("sums"):
            _quiet_inner(x_axis, y_axis, rows, place, len(present))


def _quiet_inner(x_axis: dict[str, Any], y_axis: dict[str, Any], rows: bool, place: int, count: int) -> None:
    """Remove the tick labels of axes between matrices, so that only outer axes have numbers."""
    if rows and place < count - 1:
        x_axis |= {"showticklabels": False, "title": None}
    if not rows and place > 0:
        y_axis |= {"showticklabels": False, "title": None}
        x_axis["title"] = None  # one title is enough, and two titles would touch


def _name_matrix(trace: dict[str, Any], layout: dict[str, Any]) -> dict[str, Any]:
    """Return an annotation with the run's name above its matrix, no wider than the matrix.

    There is no legend, because it would repeat the same colour scale for all runs.
    """
    run, x_id, y_id = trace["meta"]["run"], trace["xaxis"], trace["yaxis"]
    left, right = layout[f"xaxis{x_id[1:]}"]["domain"]
    corner = {
        "xref": f"{x_id} domain",
        "yref": f"{y_id} domain",
        "x": 0,
        "y": 1,
        "xanchor": "left",
        "yanchor": "bottom",
    }
    text = shorten_name(trace["name"], math.floor(LETTERS_ABREAST * (right - left)))
    return {**corner, "text": text, "showarrow": False, "font": {"color": layout["meta"]["colors"][run], "size": 12}}


def _center_colors(figure: Figure, results: list[Columns | None]) -> None:
    """Set one colour scale for all runs and layers, symmetric about zero."""
    layout, meta = figure["layout"], figure["layout"]["meta"]
    axis = layout[meta["symmetric"]]
    if meta.get("signed_log"):
        scale = signed_log_scale(max((_find_largest(trace["z"]) for trace in _list_visible(figure)), default=0.0))
        axis["colorbar"] |= scale.pop("colorbar")
        axis |= scale
        return
    largest = 0.0
    for trace in _list_visible(figure):
        result = results[trace["meta"]["run"]]
        assert result is not None, "a visible trace has a run"
        key = trace["meta"]["key"]
        largest = max(
            largest, _find_largest(result.matrices[key] if key in result.matrices else result.steps_log10[key])
        )
    bound = linear_bound(largest)
    axis |= {"cmin": -bound, "cmax": bound}


def _find_largest(matrix: np.ndarray) -> float:
    return float(np.max(np.abs(matrix), where=np.isfinite(matrix), initial=0.0))
