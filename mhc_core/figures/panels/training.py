"""Training: the loss at each step, and heatmaps of gain and gradient over steps and layers."""

from functools import partial
from typing import Any

from mhc_core.figures.cells import SIDE_BY_SIDE, X_FROM_1, axis_names, build_cells, signed_scale
from mhc_core.figures.panel import (
    Column,
    Help,
    Panel,
    Template,
    View,
    axis_title,
    bottom_up,
    build_figure,
    curve,
    quiet_axis,
    update_axes,
)
from mhc_core.figures.style import CIVIDIS, Theme

EMPTY = "No run trains. Set the number of training steps to see this."
STEP = axis_title("step")
POWER = {"tickprefix": "10<sup>", "ticksuffix": "</sup>"}


def build_loss(runs: int, theme: Theme) -> Template:
    """Build a figure with one curve per run, the loss over training steps."""
    axes = {"yaxis": {"scale": "linear", "include": [0.0]}}
    figure = build_figure(
        theme,
        {"axes": axes, "steps": {"xaxis": "line"}, "empty": EMPTY},
        xaxis=quiet_axis(theme, title=STEP, tickformat="d", unifiedhovertitle={"text": "step %{x}"}),
        yaxis=quiet_axis(theme, nticks=6),
    )
    for run, style in bottom_up(theme, runs):
        fill = {"x": "step", "y": "steps.step_loss", "text": "steps_text.step_loss", "name": "label"}
        figure["data"].append(
            curve(
                line={"color": style.color, "width": style.width, "dash": style.dash},
                meta={"run": run, "key": "step_loss", "fill": fill, "end": True, "look": {"dash": True, "weight": 1.0}},
                hovertemplate="%{text}",
            )
        )
    return figure


def build_waterfall(key: str, is_gain: bool, runs: int, theme: Theme) -> Template:
    """Build a figure with one heatmap of log10 per run, one row per training step, the first on top.

    is_gain: whether the colour scale is diverging, with its middle at a gain of 1.
    """
    heat = {
        "key": key,
        "fill": {"y": "step", "z": f"steps_log10.{key}"},
        **X_FROM_1,
        "hoverongaps": False,
        "hovertemplate": "step %{y}, layer %{x}<br>10<sup>%{z:.2f}</sup><extra>%{fullData.name}</extra>",
    }
    names = [axis_names(run) for run in range(runs)]
    meta: dict[str, Any] = {"layers": {x: "cells" for x, _ in names}, "steps": {y: "cells" for _, y in names}}
    meta["empty"] = EMPTY
    scale: dict[str, Any] = {"colorscale": CIVIDIS}
    if is_gain:
        meta["symmetric"] = "coloraxis"
        scale = signed_scale(theme)
    figure = build_cells(runs, theme, SIDE_BY_SIDE, heat, scale, **meta)
    update_axes(figure, "y", autorange="reversed", tickformat="d", nticks=6)
    figure["layout"]["yaxis"]["title"] = STEP  # only at the outer axis
    figure["layout"]["coloraxis"]["colorbar"] |= POWER
    figure["layout"]["margin"]["l"] = 56
    return figure


GAIN = "Forward gain of the mixing, from layer 1 up to each layer, at each training step."
GRADIENT = "Norm of the gradient of each layer's weights at each training step."

PANEL = Panel(
    key="training",
    title="Training",
    unit="at each step, before its update",
    meaning="Training loss at each step.",
    help=Help(
        formula="loss: mean cross-entropy of the step's own batch; gain: max_i |Σ_j M_ij|, M = H_res_l … H_res_1; "
        "gradient: ‖d loss / d W_l‖",
        reading="Maps have one row per step, the first on top. A gain that grows to the right and downwards is an "
        "instability that grows with depth and with training. Stripes in the gradient map are steps or layers that "
        "learn at a different rate.",
        symbol="loss, Amax gain, ‖∂ loss / ∂ W_l‖",
        source="Measured here. The loss is that of the training batch, not of held-out data.",
    ),
    group="training",
    live=True,
    over_steps=True,
    views=(
        View("loss", "loss", build_loss),
        View("gain", "gain", partial(build_waterfall, "step_gain_fwd", True), GAIN),
        View("gradient", "gradient", partial(build_waterfall, "step_param_grad_norm", False), GRADIENT),
    ),
    table=(Column("loss", "step_loss", "steps"), Column("gradient norm", "step_grad_norm", "steps")),
)
