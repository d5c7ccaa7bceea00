"""Similarity of the representations of each pair of layers."""

from mhc_core.cost.counts import MAX_STEP_MAP_LAYERS
from mhc_core.figures.cells import SIDE_BY_SIDE, X_FROM_1, Y_FROM_1, axis_names, build_cells
from mhc_core.figures.panel import Column, Help, Panel, Template, View, update_axes
from mhc_core.figures.style import CIVIDIS, Theme

UNKNOWN = (
    f"No CKA for this step: stacks of more than {MAX_STEP_MAP_LAYERS} layers do not store it,<br>"
    "nor did earlier versions."
)


def build(runs: int, theme: Theme) -> Template:
    """Build a figure with one L x L heatmap per run, next to each other, with one scale from 0 to 1."""
    heat = {
        "key": "cka",
        "fill": {"z": "matrices.cka", "name": "cka_label"},
        **X_FROM_1,
        **Y_FROM_1,
        "hovertemplate": "layers %{x} and %{y}<br>CKA %{z:.3f}<extra>%{fullData.name}</extra>",
    }
    scale = {"cmin": 0.0, "cmax": 1.0, "colorscale": CIVIDIS}
    layers: dict[str, str] = {}
    for run in range(runs):
        x_name, y_name = axis_names(run)
        layers |= {x_name: "cells", y_name: "cells-down"}
    # Runs of numerics 1 have no status of CKA itself, so the statuses of activations say why it has no numbers.
    lost_rows = ["act_rms", "act_rms_streams", "cka"]
    figure = build_cells(runs, theme, SIDE_BY_SIDE, heat, scale, layers=layers, lost_rows=lost_rows, unknown=UNKNOWN)
    update_axes(figure, "y", tickformat="d", nticks=6)
    return figure


PANEL = Panel(
    key="cka",
    title="Layer similarity (CKA)",
    unit="linear CKA",
    meaning="Similarity of the representations of two layers: 1 = equal up to rotation and scale, 0 = unrelated.",
    help=Help(
        formula="HSIC_1(K, K') / sqrt(HSIC_1(K, K) HSIC_1(K', K')), K = X Xᵀ of the stream means, "
        "unbiased HSIC, or biased if the spec says so",
        reading="A bright square is a group of layers with nearly the same representation. If the map is bright "
        "everywhere after a few layers, later layers add almost nothing to the signal. The cursor's row and column "
        "compare one layer with all others. CKA is not defined (0 / 0) for a layer whose output is the same for all "
        "samples; its row and column are blank. At a training step the map is of the nearest step whose matrices are "
        f"stored, on that step's batch; stacks of more than {MAX_STEP_MAP_LAYERS} layers store none, so their map is "
        "that of the trained stack.",
        symbol="CKA(m_k, m_l)",
        source="Kornblith et al., arXiv 1905.00414; unbiased after Nguyen et al., arXiv 2010.15327",
    ),
    group="similarity",
    live=True,
    views=(View("map", "map", build),),
    table=(Column("CKA with the cursor's layer", "cka", "row"),),
    follows_step=True,
)
