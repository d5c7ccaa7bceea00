"""How large the gradient is where the signal leaves each layer."""

from functools import partial

import plotly.graph_objects as go

from app.figures.panel import STALE_NUMERICS, Column, Help, Panel, View, bottom_up, build_lines, line, seed_band
from app.figures.style import Theme


def build(scale: str, runs: int, theme: Theme) -> go.Figure:
    """One curve a run: rms of the gradient along a shift common to all streams."""
    figure = build_lines(theme, scale, include=() if scale == "log" else (0.0,))
    figure.layout.meta["unknown"] = STALE_NUMERICS
    for run, style in bottom_up(theme, runs):
        figure.add_traces(seed_band(run, style, "grad_rms", scale))
    for run, style in bottom_up(theme, runs):
        figure.add_trace(line(run, style, "grad_rms", scale))
    return figure


PANEL = Panel(
    key="gradient",
    title="Gradient",
    unit="rms, common to all streams",
    meaning="How strongly the loss still feels the signal at each layer; it travels from right to left.",
    help=Help(
        formula="rms(Σ_i g_l[i]), g_l = d loss / d x_l",
        reading="Flat is good: early and late layers learn at the same pace. A curve that falls by decades "
        "means that one end of the stack gets almost no gradient, or the other far too much. At a step of training it "
        "is of the step's own batch, before its update.",
        symbol="∂ loss / ∂ x_l",
        source="The sum over streams is the only gradient comparable across n; for identical streams it is "
        "the plain residual one.",
    ),
    group="signal",
    live=True,
    views=(View("log", "log", partial(build, "log")), View("linear", "linear", partial(build, "linear"))),
    table=(Column("rms", "grad_rms"),),
    follows_step=True,
)
