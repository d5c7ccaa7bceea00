"""What the product of all mixing matrices does to a signal on its way, and to the gradient on its way back."""

from functools import partial

import plotly.graph_objects as go

from app.panels.base import Column, Help, Panel, View, bottom_up, build_lines, line, seed_band
from app.panels.style import Theme


def build(scale: str, runs: int, theme: Theme) -> go.Figure:
    """Two curves a run: forward over layers 1..l thick, backward over l..L thin; a line at 1."""
    figure = build_lines(theme, scale, include=(0.0,) if scale == "log" else (0.0, 1.0))
    figure.add_hline(y=0.0 if scale == "log" else 1.0, line={"color": theme.muted, "width": 1}, layer="below")
    for run, style in bottom_up(theme, runs):
        figure.add_traces(seed_band(run, style, "composite_gain_fwd", scale))
    for run, style in bottom_up(theme, runs):
        thin = {"width": 1.0}
        figure.add_trace(
            line(
                run,
                style,
                "composite_gain_bwd",
                scale,
                end=False,
                line=thin,
                opacity=0.8,
                hovertemplate="%{text} backward",
            )
        )
    for run, style in bottom_up(theme, runs):
        figure.add_trace(line(run, style, "composite_gain_fwd", scale, hovertemplate="%{text} forward"))
    return figure


PANEL = Panel(
    key="gain",
    title="Composite gain",
    unit="forward thick, backward thin",
    meaning="What the mixing alone makes of a signal that all streams share (forward) and of such a gradient "
    "(backward); 1 passes it on unchanged.",
    help=Help(
        formula="forward: max_i |Σ_j M_ij|, M = H_res_l … H_res_1; backward: max_j |Σ_i M_ij|, M = H_res_L … H_res_l",
        reading="A straight rising line means that every layer multiplies what came before: instability by "
        "depth. Doubly stochastic matrices hold both at 1; what the backward gain leaves above 1 is "
        "what the Sinkhorn rounds leave.",
        symbol="Amax gain",
        source="mHC, arXiv 2512.24880. At 27B the paper reports up to about 3000 for HC and about 1.6 for mHC.",
    ),
    group="gain",
    live=False,
    views=(View("log", "log", partial(build, "log")), View("linear", "linear", partial(build, "linear"))),
    table=(Column("forward", "composite_gain_fwd"), Column("backward", "composite_gain_bwd")),
    follows_step=True,
)
