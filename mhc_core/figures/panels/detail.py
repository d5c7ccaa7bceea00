"""The residual mixing matrix at the cursor, and products of several matrices, with their entries as numbers."""

from functools import partial
from typing import Any

from mhc_core.figures.cells import X_FROM_1, Y_FROM_1, build_cells, signed_scale
from mhc_core.figures.panel import Help, Panel, Template, View, update_axes
from mhc_core.figures.style import Theme

GRID = {"direction": "columns", "cell": 100, "gap": 34}
EMPTY = "Every run has one stream, so nothing is mixed."
CELLS = {"key": "h_res", **X_FROM_1, **Y_FROM_1, "xgap": 2, "ygap": 2}


def build(runs: int, theme: Theme) -> Template:
    """Build a figure with one n x n matrix per run: entries as numbers, row sums at the right, column sums below."""
    heat = {
        **CELLS,
        "fill": {"z": "at.h_res"},
        "hovertemplate": "to %{y} from %{x}<br>%{z:.4f}<extra>%{fullData.name}</extra>",
    }
    return _build_matrices(runs, theme, heat, 28)


def build_product(span: str, runs: int, theme: Theme) -> Template:
    """Build a figure with one product of matrices per run, coloured by sign(w) log(1 + |w|), with its row and column
    sums, and its gains below.
    """
    heat = {
        **CELLS,
        "fill": {
            "z": f"product.{span}.h_res",
            "text": f"product_text.{span}.h_res",
            "name": f"product_label.{span}.h_res",
        },
        "hovertemplate": "to %{y} from %{x}<br>%{text}<extra>%{fullData.name}</extra>",
    }
    return _build_matrices(runs, theme, heat, 64, signed_log=True)


def _build_matrices(runs: int, theme: Theme, heat: dict[str, Any], bottom_px: int, **meta: Any) -> Template:
    """Build a matrix for each run, with its sums, on one signed colour scale. `bottom_px` is the lower margin."""
    figure = build_cells(
        runs,
        theme,
        GRID,
        heat,
        signed_scale(theme),
        sums=True,
        symmetric="coloraxis",
        symmetric_over="h_res",
        empty=EMPTY,
        **meta,
    )
    update_axes(figure, "x", title=None, fixedrange=True)
    update_axes(figure, "y", autorange="reversed", side="right", fixedrange=True)
    figure["layout"]["margin"] |= {"l": 10, "r": 56, "t": 24, "b": bottom_px}
    figure["layout"]["coloraxis"]["showscale"] = False
    return figure


PANEL = Panel(
    key="detail",
    title="Mixing matrix",
    unit="row and column sums",
    meaning="Mixing weights of one layer, or of the product of several. A row sum scales a shared signal, a column sum "
    "a shared gradient.",
    help=Help(
        formula="row sum: Σ_j M[i,j]; column sum: Σ_i M[i,j]; M = H_res_l, or H_res_j … H_res_i; gain: the largest "
        "|sum|",
        reading="If all sums are 1, the mixing keeps what all streams share. A row sum of 1.5 amplifies a signal that "
        "all streams share by half in this layer; 64 such layers amplify it by 10¹¹. “Product so far” is what a "
        "signal has passed up to the cursor, “product to the end” what a gradient has passed down to it. Sinkhorn ends "
        "on rows, so its error appears in the columns. If all rows of a product are equal, all streams carry the same "
        "signal. Products are coloured by ±log(1 + |w|).",
        symbol="H_l^res 1, 1ᵀ H_l^res; Amax gain",
        source="mHC, arXiv 2512.24880, section 3.1 and Fig. 8. With dynamic mixing: matrices averaged over samples",
    ),
    group="mixing",
    live=True,
    views=(
        View("matrix", "this layer", build),
        View("up_to", "product so far", partial(build_product, "first-cursor"), needs="stream_cos"),
        View("from", "product to the end", partial(build_product, "cursor-last"), needs="stream_cos"),
        View("interval", "custom range", partial(build_product, "first-last"), needs="stream_cos"),
    ),
    table=(),
    follows_step=True,
)
