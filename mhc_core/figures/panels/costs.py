"""The overhead of each connection in time and memory traffic, as dots, and the overhead that the mHC paper reports."""

from collections.abc import Sequence

import plotly.graph_objects as go

from mhc_core.cost.estimates import ConnectionCost
from mhc_core.cost.paper_models import paper_shapes
from mhc_core.cost.shares import REFERENCE
from mhc_core.figures.methods import METHODS
from mhc_core.figures.panel import build_figure, quiet_axis
from mhc_core.figures.run_names import KIND_NAMES
from mhc_core.figures.style import Theme

MEASURES = {
    "parameters": "parameters",
    "flops": "arithmetic",
    "bytes_moved": "memory traffic",
    "peak_bytes": "peak memory",
    "seconds": "time",
}
DRAWN = {"bytes_moved": "circle-open", "seconds": "circle"}
ROW_PX = 26
AXIS = "added: ● time, ○ memory traffic"


def to_added(costs: Sequence[ConnectionCost], measure: str) -> list[float]:
    """Return the cost that each connection adds to that of the residual connection, as a fraction of the latter."""
    reference = next(cost for cost in costs if cost.connection == REFERENCE)
    return [getattr(cost, measure) / getattr(reference, measure) - 1 for cost in costs]


def build_costs(costs: Sequence[ConnectionCost], theme: Theme) -> go.Figure:
    """Build a figure with one row per connection, relative to the residual one: filled dots for time, open ones for
    memory traffic.
    """
    names = [KIND_NAMES[cost.connection] for cost in costs]
    added = {measure: [100 * share for share in to_added(costs, measure)] for measure in DRAWN}
    paper = paper_shapes()
    published = 100 * paper.published_overhead
    low = min(0.0, *(min(column) for column in added.values()))
    high = max(published, *(max(column) for column in added.values()))
    pad = 0.04 * (high - low)
    empty = build_figure(
        theme,
        {},
        hovermode="closest",
        margin={"l": 120, "r": 24, "t": 28, "b": 44},
        height=72 + ROW_PX * len(costs),
        xaxis=quiet_axis(
            theme,
            range=[low - pad, high + pad],
            ticksuffix=" %",
            nticks=6,
            title={"text": AXIS, "standoff": 6, "font": {"size": 12}},
        ),
        yaxis=quiet_axis(theme, autorange="reversed"),
        annotations=[],
    )
    figure = go.Figure(empty)
    figure.add_vline(x=published, line={"color": theme.ink, "width": 1, "dash": "2px,3px"}, layer="below")
    figure.add_annotation(
        x=published,
        y=1,
        yref="paper",
        xanchor="left",
        yanchor="bottom",
        showarrow=False,
        text=f"{published:.3g} % time: mHC in the paper",
        font={"color": theme.ink, "size": 12},
    )
    colors = [getattr(METHODS[cost.connection], theme.name) for cost in costs]
    for measure, symbol in DRAWN.items():
        figure.add_trace(
            go.Scatter(
                mode="markers",
                x=added[measure],
                y=names,
                text=[cost.added[measure] for cost in costs],
                marker={"color": colors, "symbol": symbol, "size": 10, "line": {"width": 2, "color": colors}},
                customdata=[getattr(cost, measure) for cost in costs],
                hovertemplate=f"%{{y}}, {MEASURES[measure]} %{{customdata:.4~s}}<br>%{{text}}<extra></extra>",
                cliponaxis=False,
                name=MEASURES[measure],
            )
        )
    return figure
