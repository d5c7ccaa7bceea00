"""All figures. Each is defined once, for the page, for notebooks, for REST and for export."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import plotly.graph_objects as go

from mhc_core.figures.composites import set_interval, to_span
from mhc_core.figures.difference import fill_difference, to_unit
from mhc_core.figures.filling import fill
from mhc_core.figures.panel import Panel
from mhc_core.figures.panels import collect_panels
from mhc_core.figures.parts import COMPOSITES, restrict_to_layers
from mhc_core.figures.rules import RULES
from mhc_core.figures.sources import Columns
from mhc_core.figures.steps import (
    TrainingResult,
    at_step,
    can_follow,
    count_received_steps,
    is_watched,
    name_step,
    nearest_kept,
    shows_kept,
)
from mhc_core.figures.style import MAX_RUNS, THEMES, Theme, ThemeName
from mhc_core.spec import SpecError

__all__ = ["MAX_RUNS", "PANELS", "THEMES", "figure", "to_response"]

HEIGHT, TITLE_PX, REMARK_PX = 420, 44, 17  # heights in px of a figure, its title, and a line of remarks below the title

PANELS: dict[str, Panel] = collect_panels()


def figure(
    key: str,
    results: Sequence[TrainingResult],
    labels: list[str],
    cursor: int,
    theme: ThemeName,
    view: str | None = None,
    difference: bool = False,
    step: int | None = None,
    interval: tuple[int, int] | None = None,
) -> go.Figure:
    """Build the figure of the panel `key` with the data of finished runs, for notebooks: with title, Plotly's legend
    and margins.

    cursor: a layer from 0. view: the key of a view, by default the first. difference: whether each run is drawn
    relative to the first. step: a training step from 0, for panels that can show one; None is the trained stack, which
    is also shown for a step without data (the title then says so). interval: the first and the last layer that are
    shown and whose H_res are multiplied; None is all. The cursor is moved into the interval.

    Raises
    ------
    SpecError
        If there is no such panel, or the panel has no such view.
    """
    if key not in PANELS:
        raise SpecError("panel", key, f"one of {', '.join(PANELS)}")
    panel = PANELS[key]
    if panel.find_view(view) is None:
        raise SpecError("view", view, f"one of {', '.join(item.key for item in panel.views)}")
    template = panel.build(len(results), THEMES[theme], view)
    if interval is not None:
        set_interval(template, *interval)
        cursor = min(max(cursor, interval[0]), interval[1])
    is_of_step = step is not None and panel.follows_step and can_follow(template, results, step)
    shown: list[Columns | None] = [at_step(result, step if is_of_step else None) for result in results]
    part = None if interval == (0, max(result.depth for result in results) - 1) else interval
    has_products = "composites" in template["layout"]["meta"] and not is_of_step
    of_part = restrict_to_layers(shown, *part) if part and has_products else None
    shown = of_part or shown
    filled = (fill_difference if difference else fill)(template, shown, labels, cursor)
    shown_view = panel.find_view(view)
    unit_of_runs = (shown_view and shown_view.unit) or panel.unit
    unit = to_unit(template, unit_of_runs) if difference else unit_of_runs
    places = [_format_layers(template, results, cursor)] if key == "detail" else []
    if part and any(trace["meta"]["key"].startswith(COMPOSITES) for trace in template["data"]):
        places.append(f"layers {part[0] + 1}–{part[1] + 1}" if of_part else "of all layers")
    if step is not None and panel.follows_step:
        name = name_step(results, _to_shown_step(template, results, step))
        end = "last" if is_watched(results) else "trained"
        places.append(f"step {name}" if is_of_step else end)
    _lay_out(filled["layout"], panel.title, " · ".join([unit, *places]), THEMES[theme])
    return go.Figure(filled)


def _lay_out(layout: dict[str, Any], title: str, unit: str, theme: Theme) -> None:
    """Set title, remarks, height and margins of a figure for a notebook. Plotly widens the margins if ticks need it."""
    remarks = "<br>".join(layout["meta"].get("remarks", ()))
    below = REMARK_PX * (remarks.count("<br>") + 1) if remarks else 0
    height = HEIGHT + below
    layout["title"] = {
        "text": f"{title} <span style='font-size:12px'>{unit}</span>",
        "subtitle": {"text": remarks, "font": {"color": theme.muted, "size": 12}},
        "font": {"color": theme.ink, "size": 16},
        "x": 0,
        "xref": "paper",
        "y": 1 - TITLE_PX / 2 / height,
        "yanchor": "middle",
    }
    layout["height"] = height
    layout["margin"] |= {"r": 20, "t": layout["margin"]["t"] + TITLE_PX + below}
    for name in [name for name in layout if name.startswith(("xaxis", "yaxis"))]:
        layout[name]["automargin"] = True


def _to_shown_step(template: dict[str, Any], results: Sequence[TrainingResult], step: int) -> int:
    """Return the training step that a panel shows: the nearest kept one if the panel needs data of kept steps."""
    trained = next((result for result in results if count_received_steps(result) > 0), None)
    place = nearest_kept(trained, step) if trained is not None and shows_kept(template) else None
    return step if trained is None or place is None else trained.kept_steps[place]


def _format_layers(template: dict[str, Any], results: Sequence[TrainingResult], cursor: int) -> str:
    """Format the layers whose mixing the detail panel draws, counted from 1."""
    name, span, *_ = template["data"][0]["meta"]["fill"]["z"].split(".")
    if name != "product":
        return f"layer {cursor + 1}"
    first, last = to_span(span, cursor, max(result.depth for result in results))
    return f"layers {first + 1}–{last + 1}"


def to_response(runs: int, theme: ThemeName) -> dict[str, Any]:
    """Return what the page needs to draw `runs` runs: the templates of all panels, and the rules for filling them."""
    return {
        "panels": [_to_item(panel, runs, theme) for panel in PANELS.values()],
        "rules": asdict(RULES),
    }


def _to_item(panel: Panel, runs: int, theme: ThemeName) -> dict[str, Any]:
    """Return a panel as plain data for the page. Each of its views has an empty figure for `runs` runs."""
    views = [
        {
            "key": view.key,
            "title": view.title,
            "meaning": view.meaning or panel.meaning,
            "unit": view.unit or panel.unit,
            "needs": view.needs,
            "figure": view.build(runs, THEMES[theme]),
        }
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
