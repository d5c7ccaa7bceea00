"""What each layer reads of every output before it."""

from functools import partial

import plotly.graph_objects as go

from app.figures.cells import axis_names, build_cells
from app.figures.panel import Column, Help, Panel, View
from app.figures.style import Theme
from mhc_core.cost.counts import MAX_STEP_MAP_LAYERS

GRID = {"direction": "columns", "cell": 100, "gap": 6}
EMPTY = "No run here has such weights: where layers read parts of the width, no single number tells them."

UNKNOWN = (
    f"Not known of this step: stacks of more than {MAX_STEP_MAP_LAYERS} layers keep none,<br>"
    "nor did runs that an earlier version stored."
)


def build(scale: str, runs: int, theme: Theme) -> go.Figure:
    """One map a run on one scale that is symmetric about 0; what a layer cannot read yet is left blank."""
    is_log = scale == "log"
    heat = {
        "key": "unfolded",
        "fill": {"z": "signed_log.lower.unfolded" if is_log else "lower.unfolded", "customdata": "lower.unfolded"},
        "x0": 0,
        "dx": 1,
        "y0": 1,
        "dy": 1,
        "hoverongaps": False,
        "hovertemplate": "layer %{y} reads output %{x}<br>weight %{customdata:.4~g}<extra>%{fullData.name}</extra>",
    }
    colors = {"colorscale": [list(stop) for stop in theme.diverging], "cmid": 0.0}
    layers: dict[str, str] = {}
    for run in range(runs):
        x_name, y_name = axis_names(run)
        layers |= {x_name: "sources", y_name: "cells-down"}
    meta = {"layers": layers, "symmetric": "coloraxis", "signed_log": is_log, "lost_rows": ["unfolded"], "empty": EMPTY}
    meta["unknown"] = UNKNOWN
    figure = build_cells(runs, theme, GRID, heat, colors, **meta)
    figure.update_xaxes(title_text="output (0: embedding)")
    figure.update_yaxes(tickformat="d", nticks=6)
    figure.layout.yaxis.title = {"text": "layer that reads", "font": {"size": 12}, "standoff": 6}
    figure.update_layout(margin={"l": 52})
    return figure


PANEL = Panel(
    key="unfolded",
    title="Unfolded connections",
    unit="weight of each output",
    meaning="How much of the embedding and of every earlier layer's output a layer reads, through the mixing alone.",
    help=Help(
        formula="w[k,j] = H_pre_k H_res_{k−1} … H_res_{j+1} H_post_j, H_post_0 = 1",
        reading="A row holds what one layer reads. A residual network has 1 everywhere: every output stays as it was "
        "written. A plain stack has the diagonal alone: each layer reads the one before and nothing else. Rows that "
        "deepen downwards: what was written is multiplied on its way. Warm cells are subtracted. The scale is "
        "±log(1 + |w|) under “log”, so that 1 can be seen beside 1000. At a step of training it is the nearest step "
        f"whose matrices are kept; stacks of more than {MAX_STEP_MAP_LAYERS} layers keep no such map at a step, and "
        "stay as trained.",
        symbol="w[k,j]",
        source="Hyper-Connections, arXiv 2409.19606, Eq. 20. Of matrices averaged over samples where mixing is "
        "dynamic; branches and norms after the addition are left out.",
    ),
    group="mixing",
    live=False,
    views=(View("log", "log", partial(build, "log")), View("linear", "linear", partial(build, "linear"))),
    table=(Column("weight", "unfolded", "read"),),
    follows_step=True,
)
