"""What each connection adds to the cost of a stack, as bars beside the residual connection's."""

from collections.abc import Sequence

import plotly.graph_objects as go

from app.figures.panel import build_figure, quiet_axis
from app.figures.run_names import KIND_NAMES
from app.figures.style import Theme
from mhc_core.cost.estimates import ConnectionCost
from mhc_core.cost.shares import REFERENCE

MEASURES = {
    "parameters": "parameters",
    "flops": "arithmetic",
    "bytes_moved": "memory traffic",
    "peak_bytes": "peak memory",
    "seconds": "time",
}
GAP = 0.02  # between two columns, in widths of the plot
ROW_PX = 26


def to_added(costs: Sequence[ConnectionCost], measure: str) -> list[float]:
    """What each connection adds, as a share of the residual connection's cost at the same stack."""
    reference = next(cost for cost in costs if cost.connection == REFERENCE)
    return [getattr(cost, measure) / getattr(reference, measure) - 1 for cost in costs]


def build_costs(costs: Sequence[ConnectionCost], theme: Theme) -> go.Figure:
    """A column a measure, a row a connection, and one scale for all, so that bars compare across columns."""
    names = [KIND_NAMES[cost.connection] for cost in costs]
    added = {measure: to_added(costs, measure) for measure in MEASURES}
    least = 100 * min(0.0, *(min(column) for column in added.values()))
    most = 100 * max(max(column) for column in added.values())
    figure = build_figure(
        theme,
        {"ink": theme.ink, "muted": theme.muted},
        hovermode="closest",
        margin={"l": 108, "r": 18, "t": 30, "b": 46},
        height=90 + ROW_PX * len(costs),
        title={
            "text": "Added to the residual connection's cost",
            "font": {"color": theme.ink, "size": 14},
            "x": 0,
            "xref": "paper",
            "y": 0.99,
            "yanchor": "top",
        },
        annotations=[],
        yaxis=quiet_axis(theme, autorange="reversed", showgrid=False),
    )
    width = (1 - GAP * (len(MEASURES) - 1)) / len(MEASURES)
    for place, (measure, title) in enumerate(MEASURES.items()):
        suffix = "" if place == 0 else str(place + 1)
        start = place * (width + GAP)
        figure.layout[f"xaxis{suffix}"] = quiet_axis(
            theme,
            domain=[start, start + width],
            range=[1.05 * least, 1.6 * most or 1.0],  # room for the number right of the longest bar
            ticksuffix=" %",
            nticks=4,
            title={"text": title, "font": {"size": 12}, "standoff": 4},
        )
        figure.add_trace(
            go.Bar(
                x=[100 * share for share in added[measure]],
                y=names,
                orientation="h",
                xaxis=f"x{suffix}",
                text=[cost.added[measure] for cost in costs],
                textposition="outside",
                cliponaxis=False,
                textfont={"size": 11, "color": theme.muted},
                marker={"color": theme.accent},
                customdata=[getattr(cost, measure) for cost in costs],
                hovertemplate=f"%{{y}}, {title} %{{customdata:.4~s}}<br>%{{text}}<extra></extra>",
                name=title,
            )
        )
    return figure
