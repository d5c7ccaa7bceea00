"""The eigenvalues of H_res in the complex plane: of one layer, and of the product of all layers up to it."""

from functools import partial

from mhc_core.figures.panel import Help, Panel, Template, View, axis_title, bottom_up, build_figure, curve, quiet_axis
from mhc_core.figures.style import Theme

EMPTY = "Every run has one stream, or no mixing."


def build(span: str, runs: int, theme: Theme) -> Template:
    """Build a figure with a line from the origin to a dot at each eigenvalue of each run, and the unit circle.

    Dots are needed because real eigenvalues all have the same line.
    """
    meta = {"axes": {"yaxis": {"scale": "linear", "include": [-1.05, 1.05]}}}
    figure = build_figure(
        theme,
        {**meta, "empty": EMPTY},
        xaxis=quiet_axis(theme, title=axis_title("real part"), scaleanchor="y"),
        yaxis=quiet_axis(theme, nticks=6, title=axis_title("imaginary part")),
        hovermode="closest",
    )
    circle = {"type": "circle", "xref": "x", "yref": "y", "x0": -1, "y0": -1, "x1": 1, "y1": 1}
    figure["layout"]["shapes"] = [{**circle, "layer": "below", "line": {"color": theme.muted, "width": 1}}]
    for run, style in bottom_up(theme, runs):
        fill = {"x": f"eigen.{span}.re", "y": f"eigen.{span}.im", "text": f"eigen.{span}.text", "name": "label"}
        figure["data"].append(
            curve(
                mode="lines+markers",
                marker={"size": 7},
                line={"color": style.color, "width": style.width, "dash": style.dash},
                meta={"run": run, "key": "h_res", "fill": fill, "end": True, "look": {"dash": True, "weight": 1.0}},
                hovertemplate="%{text}<extra>%{fullData.name}</extra>",
            )
        )
    return figure


PRODUCT = (
    "Eigenvalues of the product of all H_res up to one layer, as factors per layer: their size is the root of the "
    "product's, their angle the product's own."
)

PANEL = Panel(
    key="eigenvalues",
    title="Eigenvalues of the mixing",
    unit="complex plane, with the unit circle",
    meaning="Eigenvalues of the H_res of one layer. On the circle a combination of streams keeps its size, inside it "
    "fades, outside it grows.",
    help=Help(
        formula="H_res v = λ v; product of l layers: λ of H_res_l … H_res_1, drawn at |λ|^(1/l)",
        reading="Each line from the centre ends in a dot at one eigenvalue. Where rows sum to 1, one of them is 1: the "
        "signal that all streams share. Doubly stochastic matrices have the others inside the circle or on it: "
        "differences between streams fade, the faster the shorter the line. Orthogonal matrices have all on "
        "the circle: pairs off the real axis turn streams into each other. A negative eigenvalue swaps two "
        "combinations of streams. Eigenvalues below 10⁻⁴ of the largest may be rounding and are left out.",
        symbol="λ(H_res)",
        source="Linear algebra. With dynamic mixing: matrices averaged over samples",
    ),
    group="expert",
    live=False,
    views=(
        View("layer", "this layer", partial(build, "cursor-cursor")),
        View("product", "product so far", partial(build, "first-cursor"), PRODUCT, "factors per layer"),
    ),
    follows_step=True,
)
