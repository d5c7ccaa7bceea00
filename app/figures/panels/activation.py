"""How large the signal is when it leaves each layer."""

from functools import partial

import plotly.graph_objects as go

from app.figures.panel import STALE_NUMERICS, Column, Help, Panel, View, bottom_up, build_lines, line, seed_band
from app.figures.style import Theme


def build(scale: str, runs: int, theme: Theme) -> go.Figure:
    """One curve a run: rms of the stream mean."""
    figure = build_lines(theme, scale, include=() if scale == "log" else (0.0,))
    figure.layout.meta["unknown"] = STALE_NUMERICS
    for run, style in bottom_up(theme, runs):
        figure.add_traces(seed_band(run, style, "act_rms", scale))
    for run, style in bottom_up(theme, runs):
        figure.add_trace(line(run, style, "act_rms", scale))
    return figure


PANEL = Panel(
    key="activation",
    title="Activation",
    unit="rms of the stream mean",
    meaning="How large the signal is when it leaves each layer.",
    help=Help(
        formula="rms(m_l), m_l = (1/n) Σ_i x_l[i], over tokens and features",
        reading="A pre-norm residual stack grows like the square root of depth. Exponential growth or decay "
        "is a straight line on the log axis: every layer then multiplies the signal by the same "
        "factor. At a step of training it is of the step's own batch, before its update.",
        symbol="rms(m_l)",
        source="The stream mean follows the residual network wherever columns of H_res sum to 1.",
    ),
    group="signal",
    live=True,
    views=(View("log", "log", partial(build, "log")), View("linear", "linear", partial(build, "linear"))),
    table=(Column("rms", "act_rms"),),
    follows_step=True,
)
