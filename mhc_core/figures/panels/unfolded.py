"""Effective skip connections: how strongly each layer reads each earlier output."""

from functools import partial

from mhc_core.cost.counts import MAX_STEP_MAP_LAYERS
from mhc_core.figures.cells import SIDE_BY_SIDE, Y_FROM_1, axis_names, build_cells, signed_scale
from mhc_core.figures.panel import Column, Help, Panel, Template, View, axis_title, update_axes
from mhc_core.figures.style import Theme

EMPTY = "Not defined for these runs: their layers read parts of the width, so one weight per output is not enough."

UNKNOWN = (
    f"Not stored for this step: stacks of more than {MAX_STEP_MAP_LAYERS} layers do not store it,<br>"
    "nor did earlier versions."
)


def build(scale: str, runs: int, theme: Theme) -> Template:
    """Build a figure with one heatmap per run, on one scale symmetric about 0. Entries of later outputs are blank."""
    is_log = scale == "log"
    heat = {
        "key": "unfolded",
        "fill": {"z": "signed_log.lower.unfolded" if is_log else "lower.unfolded", "customdata": "lower.unfolded"},
        "x0": 0,
        "dx": 1,
        **Y_FROM_1,
        "hoverongaps": False,
        "hovertemplate": "layer %{y} reads output %{x}<br>weight %{customdata:.4~g}<extra>%{fullData.name}</extra>",
    }
    layers: dict[str, str] = {}
    for run in range(runs):
        x_name, y_name = axis_names(run)
        layers |= {x_name: "sources", y_name: "cells-down"}
    meta = {"layers": layers, "symmetric": "coloraxis", "signed_log": is_log, "lost_rows": ["unfolded"], "empty": EMPTY}
    meta["unknown"] = UNKNOWN
    figure = build_cells(runs, theme, SIDE_BY_SIDE, heat, signed_scale(theme), **meta)
    update_axes(figure, "x", title=axis_title("source layer (0 = embedding)"))
    update_axes(figure, "y", tickformat="d", nticks=6)
    figure["layout"]["yaxis"]["title"] = axis_title("reading layer")
    figure["layout"]["margin"]["l"] = 52
    return figure


PANEL = Panel(
    key="unfolded",
    title="Effective skip connections",
    unit="weight of each source layer",
    meaning="How strongly each layer reads each earlier output, through the mixing alone or by attention over depth.",
    help=Help(
        formula="w[k,j] = H_pre_k H_res_{k−1} … H_res_{j+1} H_post_j, H_post_0 = 1",
        reading="Each row is one reading layer. A residual network has 1 everywhere: every output stays as it was "
        "written. A plain stack has only the diagonal: each layer reads the previous one and nothing else. In "
        "the plain form of attention over depth a row sums to 1 and starts even, with 1/k in row k. Colours "
        "that get stronger downwards mean that outputs are amplified on their way. Magenta cells are negative. The "
        "log scale is ±log(1 + |w|), so that 1 and 1000 are both visible. At a training step the map is of the nearest "
        f"step whose matrices are stored; stacks of more than {MAX_STEP_MAP_LAYERS} layers store none, so their map is "
        "that of the trained stack.",
        symbol="w[k,j]",
        source="Hyper-Connections, arXiv 2409.19606, Eq. 20. With dynamic mixing: matrices averaged over "
        "samples. Branches and norms after the addition are left out. Attention over depth: the weights themselves, "
        "averaged over samples and heads.",
    ),
    group="expert",
    live=False,
    views=(View("log", "log", partial(build, "log")), View("linear", "linear", partial(build, "linear"))),
    table=(Column("weight", "unfolded", "read"),),
    follows_step=True,
)
