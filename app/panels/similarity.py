"""Whether layers still change what they read, and whether tokens stay distinct."""

import plotly.graph_objects as go

from app.panels.base import Column, Help, Panel, View, bottom_up, build_lines, line
from app.panels.style import RunStyle, Theme


def build_previous(runs: int, theme: Theme) -> go.Figure:
    """Cosine between neighbouring branch inputs: the median as a line, the 5th to 95th percentile as a band."""
    figure = build_lines(theme, "linear", include=(1.0,), limits=[-1.0, 1.0])
    for run, style in bottom_up(theme, runs):
        figure.add_traces(_band(run, style))
    for run, style in bottom_up(theme, runs):
        figure.add_trace(line(run, style, "cos_prev", "linear"))
    return figure


def build_tokens(runs: int, theme: Theme) -> go.Figure:
    """Mean pairwise cosine of the tokens: 1 is rank collapse."""
    figure = build_lines(theme, "linear", include=(0.0, 1.0), limits=[-1.0, 1.0])
    for run, style in bottom_up(theme, runs):
        figure.add_trace(line(run, style, "token_cos", "linear"))
    return figure


def _band(run: int, style: RunStyle) -> list[go.Scatter]:
    red, green, blue = (int(style.color[start : start + 2], 16) for start in (1, 3, 5))
    edge = {"mode": "lines", "line": {"width": 0, "color": style.color}, "hoverinfo": "skip"}
    lower, upper = (
        {"run": run, "key": key, "end": False, "fill": {"x": "layer", "y": f"layers.{key}"}}
        for key in ("cos_prev_p05", "cos_prev_p95")
    )
    shade = f"rgba({red},{green},{blue},0.13)"
    return [
        go.Scatter(meta=lower, **edge),
        go.Scatter(meta=upper, fill="tonexty", fillcolor=shade, **edge),
    ]


PANEL = Panel(
    key="similarity",
    title="Similarity",
    unit="cosine, band 5–95 %",
    meaning="How alike the inputs of neighbouring layers are: near 1, layers hardly change what they read.",
    help=Help(
        formula="cos(u_l, u_{l-1}) over tokens, u_l = Σ_j H_pre[j] x_l[j]; tokens: mean of cos over pairs of tokens",
        reading="Deep pre-norm stacks drift to 1: late layers all see the same input. Under “tokens”, 1 means"
        " that all tokens have become the same vector.",
        symbol="cos(u_l, u_{l−1})",
        source="Hyper-Connections, arXiv 2409.19606, Fig. 3",
    ),
    group="signal",
    live=True,
    views=(
        View("previous", "layers", build_previous),
        View("tokens", "tokens", build_tokens),
    ),
    table=(Column("cosine", "cos_prev"), Column("tokens", "token_cos")),
)
