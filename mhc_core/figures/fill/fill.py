"""Fill a panel's template with the columns of runs. `static/js/data/fill.js` does the same; a test holds them equal.

Templates and figures are plain data here: what `to_plotly_json` gives and `go.Figure` takes.
"""

import copy
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from mhc_core.figures.fill.dress import dress
from mhc_core.figures.fill.labels import (
    cell_label,
    cell_note,
    end_labels,
    find_lost,
    foot_note,
    format_rows,
    format_status,
    lost_labels,
    note,
)
from mhc_core.figures.fill.numbers import log_ticks
from mhc_core.figures.fill.scales import linear_bound, signed_log_scale
from mhc_core.figures.fill.sources import Columns, look_up, to_unknown
from mhc_core.figures.fill.sums import write_sums

MIN_SPAN = {"log": 0.6, "linear": 1e-9}
WINDOW_COLUMNS = 120  # matrix columns in sight on a wide card: a cell is then about six pixels
LETTER_PX = 7.2
FEW_LAYERS = 6
MIN_ROW_GAP = 15  # room for the label of the matrix below

Figure = dict[str, Any]


def fill(
    template: Figure,
    results: list[Columns | None],
    labels: list[str],
    cursor: int,
    narrow: bool = False,
    methods: Sequence[str | None] | None = None,
) -> Figure:
    """A figure with the data of `results`, in the template's order; the template is left as it is.

    `cursor` is a layer from 0; `narrow` is for screens that hold one matrix side by side. `methods` say how the runs
    look where the results do not, as one that others are compared with is not drawn itself.
    """
    figure = copy.deepcopy(template)
    layout = figure["layout"]
    layout["annotations"] = []
    dress(figure, methods or [None if result is None else result.method for result in results])
    for trace in figure["data"]:
        run = trace["meta"]["run"]
        _fill_trace(trace, results[run] if run < len(results) else None, labels, cursor)
    _cut_curves(figure)
    layers = max((result.depth for result in results if result is not None), default=1)
    meta = layout["meta"]
    if "axes" in meta:
        _fill_axes(figure, results, layers, narrow)
    if "grid" in meta:
        _place_cells(figure, narrow)
    _span_layers(figure, layers, cursor, narrow)
    if "symmetric" in meta:
        _center_colors(figure, results)
    if "lost_rows" in meta:
        _mark_lost_rows(figure, results)
    if meta.get("sums"):
        write_sums(layout, _visible(figure), results, cursor, narrow)
    is_noted = "unknown" in meta and _note_unknown(figure, results, labels)
    if not _visible(figure):
        _hide_ticks(layout)
        if "empty" in meta and not is_noted:
            layout["annotations"].append(note(meta["empty"], meta["muted"]))
    return figure


def _hide_ticks(layout: dict[str, Any]) -> None:
    """Axes without data have no numbers: Plotly would invent some."""
    for name in [name for name in layout if name.startswith(("xaxis", "yaxis"))]:
        layout[name]["showticklabels"] = False


def _visible(figure: Figure) -> list[dict[str, Any]]:
    return [trace for trace in figure["data"] if trace.get("visible", True)]


def _fill_trace(trace: dict[str, Any], result: Columns | None, labels: list[str], cursor: int) -> None:
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


def _cut_curves(figure: Figure) -> None:
    """Leave of curves what lies in the chosen interval: axes and labels then speak of that alone."""
    meta = figure["layout"]["meta"]
    if "interval" not in meta or meta.get("layers", {}).get("xaxis") != "line":
        return
    first, last = meta["interval"]
    for trace in _visible(figure):
        pairs = zip(trace["x"], trace["y"], strict=True)
        trace["y"] = [value if layer is not None and first < layer <= last + 1 else None for layer, value in pairs]


def _note_unknown(figure: Figure, results: list[Columns | None], labels: list[str]) -> bool:
    """Mark runs without data at the step that is shown; returns whether there are any."""
    layout = figure["layout"]
    runs = [
        run
        for run, result in enumerate(results)
        if result is not None
        and any(trace["meta"]["run"] == run and trace["meta"]["key"] in to_unknown(result) for trace in figure["data"])
    ]
    if not runs:
        return False
    text, muted = layout["meta"]["unknown"], layout["meta"]["muted"]
    if not _visible(figure):
        layout["annotations"].append(note(text, muted))
    else:
        names = ", ".join(labels[run] for run in runs)
        layout["annotations"].append(foot_note(f"{names}: {text}", muted, layout["paper_bgcolor"]))
    return True


# ---- curves


def _fill_axes(figure: Figure, results: list[Columns | None], layers: int, narrow: bool) -> None:
    layout = figure["layout"]
    longest = 0  # letters of a label right of the curves
    for name, rule in layout["meta"]["axes"].items():
        low, high = _data_range(figure, rule)
        layout[name]["range"] = [low, high]
        layout[name]["autorange"] = False
        if rule["scale"] == "log":
            places, texts = log_ticks(low, high)
            layout[name] |= {"tickmode": "array", "tickvals": places, "ticktext": texts}
        longest = max(longest, _label_lines(figure, results, (low, high), layers, narrow))
    if narrow:
        ticks = [text for name in layout["meta"]["axes"] for text in layout[name].get("ticktext", [])]
        layout["margin"]["l"] = 56 if any("×" in text for text in ticks) else 40
        layout["margin"]["r"] = 19 + round(LETTER_PX * max(1, longest))
    else:
        names = [len(trace["name"]) for trace in _visible(figure) if trace["meta"]["end"]]
        layout["margin"]["r"] = 18 + round(LETTER_PX * max([3, longest, *names]))


def _data_range(figure: Figure, rule: dict[str, Any]) -> tuple[float, float]:
    values = [value for trace in _visible(figure) for value in trace["y"] if value is not None]
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


def _label_lines(
    figure: Figure, results: list[Columns | None], span: tuple[float, float], layers: int, narrow: bool
) -> int:
    """Label the curves of an axis; the number of letters of the longest label right of them."""
    layout = figure["layout"]
    ends, losses = [], []
    for trace in [trace for trace in _visible(figure) if trace["meta"]["end"]]:
        result = results[trace["meta"]["run"]]
        assert result is not None, "a visible trace has a run"
        color = trace["line"]["color"]
        axis = trace["meta"]["fill"]["x"].partition(".")[0]
        status = result.steps_status if axis == "step" else result.status
        first, last = (0, len(trace["y"]) - 1) if axis == "step" else _interval_of(layout, layers)
        flags = status.get(trace["meta"]["key"], {})
        within = {place: flag for place, flag in flags.items() if first <= place <= last}
        unit = "step" if axis == "step" else "layer"
        lost = find_lost(trace["y"], within, unit, trace["x"] if axis == "step" else None)
        if lost is not None and lost["point"] is not None:
            share = (trace["y"][lost["point"]] - span[0]) / (span[1] - span[0])
            text = f"{trace['name']}: {lost['text']}"
            middle = (first + last + 1) / 2
            place = {"point": lost["point"], "x": trace["x"][lost["point"]], "middle": middle}
            losses.append({**place, "share": share, "text": text, "color": color})
        end = _line_end(trace, result, lost, span)
        ends += [] if end is None else [{**end, "color": color, "run": trace["meta"]["run"]}]
    ends.sort(key=lambda end: end["run"])  # traces are drawn from the last run to the first
    labels = end_labels(ends, narrow)
    layout["annotations"] += lost_labels(losses, span, narrow) + labels
    return max([0, *(len(label["text"]) for label in labels)])


def _line_end(
    trace: dict[str, Any], result: Columns, lost: dict[str, Any] | None, span: tuple[float, float]
) -> dict[str, Any] | None:
    known = [value for value in trace["y"] if value is not None]
    if known and lost is not None and lost["ends"]:
        return None  # the label stands where it is lost
    if known:
        return {"place": (known[-1] - span[0]) / (span[1] - span[0]), "text": trace["name"]}
    if lost is not None:
        return {"place": 1.0, "text": f"{trace['name']}: {lost['text']}"}
    raw = result.layers.get(trace["meta"]["key"])
    if raw is not None and bool(np.all(raw == 0)):
        return {"place": 0.0, "text": f"{trace['name']}: 0"}
    return None


# ---- layers along an axis


def _interval_of(layout: dict[str, Any], layers: int) -> tuple[int, int]:
    """The first and the last layer that are shown, from 0."""
    first, last = layout["meta"].get("interval", (0, layers - 1))
    return first, last


def _span_layers(figure: Figure, layers: int, cursor: int, narrow: bool) -> None:
    interval = _interval_of(figure["layout"], layers)
    for name, kind in figure["layout"]["meta"].get("layers", {}).items():
        figure["layout"][name] |= {
            "range": (span := _layer_range(figure, kind, interval, cursor, narrow)),
            "autorange": False,
        }
        if abs(span[1] - span[0]) <= FEW_LAYERS:  # or half layers would have ticks, with the numbers of whole ones
            figure["layout"][name] |= {"tickmode": "linear", "tick0": 1, "dtick": 1}


def _layer_range(figure: Figure, kind: str, interval: tuple[int, int], cursor: int, narrow: bool) -> list[float]:
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
    steps = [trace["dx"] for trace in _visible(figure)]
    columns = WINDOW_COLUMNS / 3 if narrow else WINDOW_COLUMNS
    width = min(layers, max(4, math.floor(columns * min(steps, default=1))))
    start = min(max(cursor + 1 - (width - 1) / 2, first + 1), last - width + 2)
    return [start - 0.5, start + width - 0.5]


# ---- matrices


def _place_cells(figure: Figure, narrow: bool) -> None:
    """Share the space out among the runs that have a matrix; the axes of the others are hidden."""
    layout, grid = figure["layout"], figure["layout"]["meta"]["grid"]
    rows = narrow or grid["direction"] == "rows"
    present = [trace["meta"]["run"] for trace in _visible(figure)]
    gap = max(grid["gap"], MIN_ROW_GAP) if rows else grid["gap"]
    whole = len(present) * grid["cell"] + max(0, len(present) - 1) * gap
    for run, (x_name, y_name) in enumerate(grid["cells"]):
        x_axis, y_axis = layout[x_name], layout[y_name]
        x_axis["visible"] = y_axis["visible"] = run in present
        if run not in present:
            continue
        place = present.index(run)
        start = place * (grid["cell"] + gap)
        share = [start / whole, (start + grid["cell"]) / whole]
        x_axis["domain"] = [0, 1] if rows else share
        y_axis["domain"] = [1 - share[1], 1 - share[0]] if rows else [0, 1]
        if not layout["meta"].get("sums"):
            _quiet_inner(x_axis, y_axis, rows, place, len(present))
    _label_cells(figure)


def _quiet_inner(x_axis: dict[str, Any], y_axis: dict[str, Any], rows: bool, place: int, count: int) -> None:
    """Numbers stand at the outer axes alone."""
    if rows and place < count - 1:
        x_axis |= {"showticklabels": False, "title": None}
    if not rows and place > 0:
        y_axis["showticklabels"] = False
        x_axis["title"] = None  # once is enough, and beside one another they would touch


def _label_cells(figure: Figure) -> None:
    for trace in _visible(figure):
        color = figure["layout"]["meta"]["colors"][trace["meta"]["run"]]
        figure["layout"]["annotations"].append(cell_label(trace["name"], trace["xaxis"], trace["yaxis"], color))


def _center_colors(figure: Figure, results: list[Columns | None]) -> None:
    """One scale for all runs and layers, as far below zero as above."""
    layout, meta = figure["layout"], figure["layout"]["meta"]
    axis = layout[meta["symmetric"]]
    if meta.get("signed_log"):
        scale = signed_log_scale(max((_largest(trace["z"]) for trace in _visible(figure)), default=0.0))
        axis["colorbar"] |= scale.pop("colorbar")
        axis |= scale
        return
    largest = 0.0
    for trace in _visible(figure):
        result = results[trace["meta"]["run"]]
        assert result is not None, "a visible trace has a run"
        key = trace["meta"]["key"]
        largest = max(largest, _largest(result.matrices[key] if key in result.matrices else result.steps_log10[key]))
    bound = linear_bound(largest)
    axis |= {"cmin": -bound, "cmax": bound}


def _largest(matrix: np.ndarray) -> float:
    return float(np.max(np.abs(matrix), where=np.isfinite(matrix), initial=0.0))


def _mark_lost_rows(figure: Figure, results: list[Columns | None]) -> None:
    """Of rows without numbers a matrix says where they are, and why."""
    layout = figure["layout"]
    keys = layout["meta"]["lost_rows"]
    for trace in _visible(figure):
        result = results[trace["meta"]["run"]]
        assert result is not None, "a visible trace has a run"
        flags = {row: flag for key in keys for row, flag in result.status.get(key, {}).items()}
        own = result.status.get(trace["meta"]["key"], {})
        known = [row for row, cells in enumerate(trace["z"]) if np.isfinite(np.asarray(cells, np.float64)).any()]
        # The status of another metric counts where the row itself has nothing to show.
        lost = sorted(row for row in flags if row in own or row not in known)
        if lost:
            last_known = max((row for row in known if row not in lost), default=-1)
            text = f"{format_status(flags[lost[0]])}<br>{format_rows(lost, last_known)}"
            look = (layout["meta"]["muted"], layout["paper_bgcolor"])
            layout["annotations"].append(cell_note(text, trace["xaxis"], trace["yaxis"], *look))
