"""The residual mixing matrix of the cursor's layer, with its numbers."""

import plotly.graph_objects as go

from app.panels.base import Help, Panel, View
from app.panels.cells import build_cells
from app.panels.style import Theme

GRID = {"direction": "columns", "cell": 100, "gap": 34}


def build(runs: int, theme: Theme) -> go.Figure:
    """One n x n matrix a run, values in the cells, row sums at the right and column sums below."""
    heat = {
        "key": "h_res",
        "fill": {"z": "at.h_res"},
        "x0": 1,
        "dx": 1,
        "y0": 1,
        "dy": 1,
        "xgap": 2,
        "ygap": 2,
        "hovertemplate": "to %{y} from %{x}<br>%{z:.4f}<extra>%{fullData.name}</extra>",
    }
    scale = {"colorscale": [list(stop) for stop in theme.diverging], "cmid": 0.0}
    figure = build_cells(
        runs, theme, GRID, heat, scale, sums=True, symmetric="coloraxis", symmetric_over="h_res", empty=EMPTY
    )
    figure.update_xaxes(title=None, fixedrange=True)
    figure.update_yaxes(autorange="reversed", side="right", fixedrange=True)
    figure.update_layout(margin={"l": 10, "r": 56, "t": 24, "b": 28}, coloraxis={"showscale": False})
    return figure


EMPTY = "No run here has more than one stream."

PANEL = Panel(
    key="detail",
    title="One layer",
    unit="row and column sums",
    meaning="The mixing matrix at the cursor: row sums scale the signal, column sums the gradient.",
    help=Help(
        formula="row sum: Σ_j H_res[i,j]; column sum: Σ_i H_res[i,j]",
        reading="All sums 1: nothing is made, nothing lost. A row sum of 1.5 amplifies a signal that all "
        "streams share by half in this one layer; 64 such layers amplify it by 10¹¹. Sinkhorn ends on"
        " rows, so its error shows in the columns.",
        symbol="H_l^res 1, 1ᵀ H_l^res",
        source="mHC, arXiv 2512.24880, section 4",
    ),
    group="mixing",
    live=True,
    views=(View("matrix", "matrix", build),),
    table=(),
    follows_step=True,
)
