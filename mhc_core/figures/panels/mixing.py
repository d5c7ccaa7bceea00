"""The residual mixing matrices of all layers, as one row of matrices per run."""

from mhc_core.figures.cells import Y_FROM_1, axis_names, build_cells, signed_scale
from mhc_core.figures.panel import Column, Help, Panel, Template, View, update_axes
from mhc_core.figures.style import Theme

GRID = {"direction": "rows", "cell": 70, "gap": 30}


def build(runs: int, theme: Theme) -> Template:
    """Build a figure with one row of matrices per run, one matrix per layer, on one colour scale symmetric about 0."""
    heat = {
        "key": "h_res",
        "fill": {"z": "montage.h_res", "x0": "x0.h_res", "dx": "dx.h_res"},
        **Y_FROM_1,
        "hoverongaps": False,
        "hovertemplate": "layer %{x:.0f}, to stream %{y}<br>%{z:.3f}<extra>%{fullData.name}</extra>",
    }
    meta = {"layers": {axis_names(run)[0]: "window" for run in range(runs)}, "symmetric": "coloraxis", "empty": EMPTY}
    figure = build_cells(runs, theme, GRID, heat, signed_scale(theme), **meta)
    update_axes(figure, "x", nticks=14)
    update_axes(figure, "y", autorange="reversed", showticklabels=False, fixedrange=True)
    for run in range(1, runs):
        figure["layout"][axis_names(run)[0]]["matches"] = "x"
    figure["layout"]["margin"] |= {"l": 14, "t": 24}
    figure["layout"]["dragmode"] = "pan"
    return figure


EMPTY = "Every run has one stream, so nothing is mixed."

PANEL = Panel(
    key="mixing",
    title="Mixing matrices",
    unit="H_res, one n × n matrix per layer",
    meaning="How each layer mixes the streams: rows are the streams it writes, columns the streams it reads.",
    help=Help(
        formula="x_{l+1}[i] = Σ_j H_res[i,j] x_l[j] + H_post[i] F(Σ_j H_pre[j] x_l[j])",
        reading="A diagonal matrix keeps the streams separate. A uniform matrix averages them. Magenta cells are "
        "negative: one stream is subtracted from another, which a doubly stochastic matrix cannot do. Drag to pan.",
        symbol="H_l^res",
        source="mHC, arXiv 2512.24880, Eq. 3",
    ),
    group="mixing",
    live=True,
    views=(View("strip", "strip", build),),
    table=(Column("deviation from doubly stochastic", "ds_error"),),
    follows_step=True,
)
