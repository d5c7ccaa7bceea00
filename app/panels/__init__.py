"""The figures, each defined once: for the page, for notebooks over REST, and for export."""

import json
from collections.abc import Sequence
from typing import Any

import plotly.graph_objects as go

from app.panels import activation, cka, detail, gain, gradient, mixing, similarity, streams, theory, training, unfolded
from app.panels.base import Panel
from app.panels.difference import fill_difference, to_unit
from app.panels.fill import fill
from app.panels.sources import Columns
from app.panels.steps import Trained, at_step
from app.panels.style import MAX_RUNS, THEMES, Theme, ThemeName, to_styles

__all__ = ["MAX_RUNS", "PANELS", "THEMES", "figure", "fill_panel", "to_response"]

_ORDER = (gain, activation, gradient, similarity, cka, mixing, detail, streams, unfolded, theory, training)
PANELS: dict[str, Panel] = {module.PANEL.key: module.PANEL for module in _ORDER}


def figure(
    key: str,
    results: Sequence[Trained],
    labels: list[str],
    cursor: int,
    theme: ThemeName,
    view: str | None = None,
    difference: bool = False,
    step: int | None = None,
) -> go.Figure:
    """The panel `key` with the data of finished runs, titled, as a notebook shows it.

    `cursor` is a layer from 0; `view` a view's key, the first by default; `difference` draws runs against the first.
    `step` is a step of training from 0, which panels follow that can; None is the trained stack.
    """
    panel = PANELS[key]
    template = _to_plain(panel.build(len(results), THEMES[theme], view))
    shown: list[Columns | None] = [at_step(result, step if panel.follows_step else None) for result in results]
    filled = (fill_difference if difference else fill)(template, shown, labels, cursor)
    unit = to_unit(template, panel.unit) if difference else panel.unit
    place = "" if step is None or not panel.follows_step else f" · step {step + 1}"
    title = f"{panel.title} <span style='font-size:12px'>{unit}{place}</span>"
    ink = {"color": THEMES[theme].ink, "size": 16}
    filled["layout"] |= {
        "title": {"text": title, "font": ink, "x": 0, "xref": "paper", "y": 0.97},
        "height": 420,
    }
    filled["layout"]["margin"]["t"] += 44
    return go.Figure(filled)


def fill_panel(key: str, results: list[Columns], labels: list[str], theme: Theme) -> dict[str, Any]:
    """The panel `key` with the data of finished runs, at its first view, as plain data."""
    return fill(_to_plain(PANELS[key].build(len(results), theme)), list(results), labels, 0)


def to_response(runs: int, theme: ThemeName) -> dict[str, Any]:
    """Everything the page needs to draw `runs` runs: their styles and every panel's templates."""
    return {
        "runs": to_styles(runs, theme),
        "panels": [_to_item(panel, runs, theme) for panel in PANELS.values()],
    }


def _to_item(panel: Panel, runs: int, theme: ThemeName) -> dict[str, Any]:
    views = [
        {"key": view.key, "title": view.title, "figure": _to_plain(view.build(runs, THEMES[theme]))}
        for view in panel.views
    ]
    return {
        "key": panel.key,
        "title": panel.title,
        "unit": panel.unit,
        "meaning": panel.meaning,
        "help": vars(panel.help),
        "group": panel.group,
        "live": panel.live,
        "follows_step": panel.follows_step,
        "figure": views[0]["figure"],
        "views": views,
        "table": [vars(column) for column in panel.table],
    }


def _to_plain(template: go.Figure) -> dict[str, Any]:
    plain: dict[str, Any] = json.loads(template.to_json())
    return plain
