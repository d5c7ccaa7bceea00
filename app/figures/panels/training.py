"""How training goes: the loss of every step, and what happens at every layer meanwhile, step by layer."""

from functools import partial
from typing import Any

import plotly.graph_objects as go

from app.figures.cells import axis_names, build_cells
from app.figures.panel import Column, Help, Panel, View, bottom_up, build_figure, quiet_axis
from app.figures.style import Theme

EMPTY = "No run here trains: set the steps of training."
GRID = {"direction": "columns", "cell": 100, "gap": 6}
STEP = {"text": "step", "font": {"size": 12}, "standoff": 6}
POWER = {"tickprefix": "10<sup>", "ticksuffix": "</sup>"}


def build_loss(runs: int, theme: Theme) -> go.Figure:
    """One curve a run over the steps."""
    axes = {"yaxis": {"scale": "linear", "include": [0.0]}}
    figure = build_figure(
        theme,
        {"axes": axes, "steps": {"xaxis": "line"}, "ink": theme.ink, "muted": theme.muted, "empty": EMPTY},
        xaxis=quiet_axis(theme, title=STEP, tickformat="d", unifiedhovertitle={"text": "step %{x}"}),
        yaxis=quiet_axis(theme, nticks=6),
    )
    for run, style in bottom_up(theme, runs):
        fill = {"x": "step", "y": "steps.step_loss", "text": "steps_text.step_loss", "name": "label"}
        figure.add_trace(
            go.Scatter(
                mode="lines",
                line={"color": style.color, "width": style.width, "dash": style.dash},
                meta={"run": run, "key": "step_loss", "fill": fill, "end": True, "look": {"dash": True, "weight": 1.0}},
                connectgaps=False,
                hovertemplate="%{text}",
            )
        )
    return figure


def build_waterfall(key: str, is_gain: bool, runs: int, theme: Theme) -> go.Figure:
    """One map a run of the column's log10, a row a step, the first on top; a gain is coloured by its side of 1."""
    heat = {
        "key": key,
        "fill": {"y": "step", "z": f"steps_log10.{key}"},
        "x0": 1,
        "dx": 1,
        "hoverongaps": False,
        "hovertemplate": "step %{y}, layer %{x}<br>10<sup>%{z:.2f}</sup><extra>%{fullData.name}</extra>",
    }
    names = [axis_names(run) for run in range(runs)]
    meta: dict[str, Any] = {"layers": {x: "cells" for x, _ in names}, "steps": {y: "cells" for _, y in names}}
    meta["empty"] = EMPTY
    scale: dict[str, Any] = {"colorscale": "Cividis"}
    if is_gain:
        meta["symmetric"] = "coloraxis"
        scale = {"colorscale": [list(stop) for stop in theme.diverging], "cmid": 0.0}
    figure = build_cells(runs, theme, GRID, heat, scale, **meta)
    figure.update_yaxes(autorange="reversed", tickformat="d", nticks=6)
    figure.layout.yaxis.title = STEP  # at the outer axis alone
    figure.update_layout(coloraxis={"colorbar": POWER}, margin={"l": 56})
    return figure


PANEL = Panel(
    key="training",
    title="Training",
    unit="each step, before its update",
    meaning="How the loss goes from step to step, and what the mixing and the gradients do at every layer meanwhile.",
    help=Help(
        formula="loss: mean cross-entropy of the step's own batch; gain: max_i |Σ_j M_ij|, M = H_res_l … H_res_1; "
        "gradient: ‖d loss / d W_l‖",
        reading="The maps run downwards, a row a step. A gain map that deepens from left to right and downwards "
        "is an instability that grows with depth and with training. Stripes in the gradient map are steps "
        "or layers that learn at another pace than the rest.",
        symbol="loss, Amax gain, ‖∂ loss / ∂ W_l‖",
        source="This program's own runs. Loss is of the batch on which the step trains, not of text held back.",
    ),
    group="training",
    live=True,
    views=(
        View("loss", "loss", build_loss),
        View("gain", "gain", partial(build_waterfall, "step_gain_fwd", True)),
        View("gradient", "gradient", partial(build_waterfall, "step_param_grad_norm", False)),
    ),
    table=(Column("loss", "step_loss", "steps"), Column("gradient norm", "step_grad_norm", "steps")),
)
