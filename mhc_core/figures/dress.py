"""Sets the colours and line styles of a template's traces to those of the runs. `static/js/figures/dress.js` does the
same.

A trace's `meta.look` says which properties are those of the run, in addition to the colour: `dash`, `weight` (the
line's width as a multiple of the run's) and `fill` (the light fill of a band).
"""

from collections.abc import Sequence
from typing import Any

from mhc_core.figures.methods import to_run_styles
from mhc_core.figures.style import RunStyle, read_color

ALPHA = 0.13  # opacity of a band's fill
Figure = dict[str, Any]


def dress(figure: Figure, methods: Sequence[str | None]) -> None:
    """Set colour, dash, width and order of the traces, in place, by the methods of their runs. Traces of runs whose
    method is None do not change.
    """
    meta = figure["layout"]["meta"]
    styles = to_run_styles(methods, meta["theme"])
    if "axes" in meta:
        _reorder(figure, styles)
    for trace in figure["data"]:
        run = trace["meta"]["run"]
        style = styles[run] if run < len(styles) else None
        if style is not None and "look" in trace["meta"]:
            _dress_trace(trace, style, trace["meta"]["look"])
    if "colors" in meta:
        known = zip(styles, meta["colors"], strict=False)
        meta["colors"] = [blank if style is None else style.color for style, blank in known]


def to_share_of_ink(dash: str) -> float:
    """Return the fraction of a dashed line that is drawn: 1 for a solid line."""
    if dash == "solid":
        return 1.0
    lengths = [float(part.removesuffix("px")) for part in dash.split(",")]
    return sum(lengths[::2]) / sum(lengths)


def _reorder(figure: Figure, styles: Sequence[RunStyle | None]) -> None:
    """Draw lines with large gaps above the others, so that all stay visible: change which trace draws which run."""
    shares = [1.0 if style is None else to_share_of_ink(style.dash) for style in styles]
    order = sorted(range(len(shares)), key=lambda run: shares[run])
    for trace in figure["data"]:
        if trace["meta"]["run"] < len(order):
            trace["meta"]["run"] = order[trace["meta"]["run"]]


def _dress_trace(trace: dict[str, Any], style: RunStyle, look: dict[str, Any]) -> None:
    """Set colour, dash, width and fill of one trace to the style of its run."""
    trace["line"]["color"] = style.color
    if "dash" in look:
        trace["line"]["dash"] = style.dash
    if "weight" in look:
        trace["line"]["width"] = look["weight"] * style.width
    if "fill" in look:
        red, green, blue = read_color(style.color)
        trace["fillcolor"] = f"rgba({red},{green},{blue},{ALPHA})"
