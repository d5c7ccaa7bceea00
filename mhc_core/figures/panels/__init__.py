"""All panels: one file each in this folder, and the charts that metrics define themselves."""

from collections.abc import Iterator
from dataclasses import replace
from functools import partial

from mhc_core.discovery import InvalidAddition, import_files, load
from mhc_core.figures.panel import (
    Build,
    Column,
    Help,
    Panel,
    Template,
    View,
    add_curves,
    bottom_up,
    build_lines,
    stream_line,
)
from mhc_core.figures.style import Theme
from mhc_core.metric import OURS, LayerMetric
from mhc_core.metrics import LAYER_METRICS

# The order of panels on the page and in lists; the panels of other files follow by name.
FIRST = (
    *("gain", "activation", "gradient", "mixing", "detail", "streams", "similarity", "cka", "training", "unfolded"),
    "theory",
)
ABSENT = "Computed without this metric."


def collect_panels() -> dict[str, Panel]:
    """Collect all panels by key, in their order.

    Raises
    ------
    InvalidAddition
        If a metric's chart is a view of a panel that does not exist, or has the key of a panel.
    """
    panels = {panel.key: panel for panel in _list_panels()}
    for added in LAYER_METRICS.values():
        key, of = added.metric.key, added.chart.view_of
        if of and of not in panels:
            raise InvalidAddition(f"Metric {key!r}: view_of is {of!r}, wanted one of {', '.join(panels)}.")
        if not of and key in panels:
            raise InvalidAddition(f"Metric {key!r}: a panel has this key. Rename the metric, or set view_of.")
        panels[of or key] = _add_view(panels[of], added) if of else _build_metric_panel(added)
    return panels


def _list_panels() -> Iterator[Panel]:
    """Yield the panels of the files in this folder, in the order in which they are shown."""
    for module in import_files(__name__, FIRST):
        yield from (item for item in vars(module).values() if isinstance(item, Panel))


def _build_metric_panel(added: LayerMetric) -> Panel:
    """Build a separate panel for a metric, with its views and one table column."""
    metric, chart = added.metric, added.chart
    views = _build_metric_views(added)
    if chart.is_offered_without:
        views = tuple(replace(view, needs="") for view in views)
    return Panel(
        key=metric.key,
        title=metric.title,
        unit=metric.unit,
        meaning=metric.meaning,
        help=Help(metric.formula, chart.reading, chart.symbol, metric.source),
        group=chart.group,
        live=True,
        views=views,
        table=(_to_column(added),),
        follows_step=True,
    )


def _add_view(panel: Panel, added: LayerMetric) -> Panel:
    """Return a panel with the views, the table column and the help of a metric added. The page offers these views if a
    run has the metric.
    """
    metric, chart = added.metric, added.chart
    text = replace(
        panel.help,
        formula=f"{panel.help.formula}; {metric.title}: {metric.formula}",
        reading=f"{panel.help.reading} {metric.title}: {chart.reading}",
        source=panel.help.source if metric.source == OURS else f"{panel.help.source}; {metric.title}: {metric.source}",
    )
    views = (*panel.views, *_build_metric_views(added))
    return replace(panel, help=text, views=views, table=(*panel.table, _to_column(added)))


def _build_metric_views(added: LayerMetric) -> tuple[View, ...]:
    """Build the views of a metric's chart."""
    metric, chart = added.metric, added.chart
    shown = [(metric.key, chart.label or metric.title, chart.build, metric.meaning)]
    shown += [(view.key, view.label, view.build, view.meaning) for view in chart.more]
    return tuple(
        View(key, label, partial(build_chart, added, build), meaning, metric.unit, needs=metric.key)
        for key, label, build, meaning in shown
    )


def _to_column(added: LayerMetric) -> Column:
    """Return the table column of a metric."""
    metric = added.metric
    source = {"L": "layers", "Ln": "streams", "LnC": "features"}[metric.shape]
    return Column(added.chart.label or metric.title, metric.key, source)


def build_chart(added: LayerMetric, how: str | Build | None, runs: int, theme: Theme) -> Template:
    """Build the template of a metric's chart, with a note for runs without the metric.

    how: the function that builds it, or its name as "module:function"; None for lines.
    """
    build = load(how) or partial(build_metric_lines, added)
    figure: Template = build(runs, theme)
    figure["layout"]["meta"]["absent"] = {"key": added.metric.key, "text": added.chart.absent or ABSENT}
    return figure


def build_metric_lines(added: LayerMetric, runs: int, theme: Theme) -> Template:
    """Build a template with one line per run and the band over its seeds, or one thin line per stream.

    If only some layers have the metric, they have markers, and lines connect them across the other layers.
    """
    metric, chart = added.metric, added.chart
    figure = build_lines(theme, metric.scale, include=chart.include, limits=chart.limits and list(chart.limits))
    if metric.shape == "Ln":
        figure["layout"]["hovermode"] = "closest"
        figure["data"] += [stream_line(run, style, metric.key, metric.scale) for run, style in bottom_up(theme, runs)]
    else:
        add_curves(figure, runs, theme, metric.key, metric.scale)
    if added.some_layers:
        for trace in figure["data"]:
            trace["connectgaps"] = True
            if trace["meta"]["end"]:
                trace |= {"mode": "lines+markers", "marker": {"size": 5}}
    return figure
