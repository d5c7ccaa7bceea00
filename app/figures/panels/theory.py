"""Measured curves beside what theory says of the spec, each law with its band."""

from functools import partial

import plotly.graph_objects as go

from app.figures.panel import Column, Help, Panel, View, band, bottom_up, build_lines, line
from app.figures.style import RunStyle, Theme

EMPTY = "No law applies to these runs here."


def build(key: str, scale: str, runs: int, theme: Theme) -> go.Figure:
    """Of every run that a law speaks of: the band, the law as a thin line, and what was measured."""
    is_gain = key.startswith("composite_gain")
    figure = build_lines(theme, scale, include=(0.0,) if is_gain else ())
    figure.layout.meta["empty"] = EMPTY
    suffix = "_log10" if scale == "log" else ""
    for run, style in bottom_up(theme, runs):
        figure.add_traces(band(run, style, key, f"law.low{suffix}.{key}", f"law.high{suffix}.{key}"))
    for run, style in bottom_up(theme, runs):
        figure.add_trace(_law(run, style, key, suffix))
    for run, style in bottom_up(theme, runs):
        measured = line(run, style, key, scale, hovertemplate="%{text}, law %{customdata}")
        # A run without a law has no text of it, and is left out.
        measured.meta["fill"]["customdata"] = f"law.text.{key}"
        figure.add_trace(measured)
    return figure


def _law(run: int, style: RunStyle, key: str, suffix: str) -> go.Scatter:
    fill = {"x": "layer", "y": f"law.values{suffix}.{key}"}
    return go.Scatter(
        mode="lines",
        line={"color": style.color, "width": 1},
        meta={"run": run, "key": key, "fill": fill, "end": False, "look": {}},
        connectgaps=False,
        hoverinfo="skip",
    )


PANEL = Panel(
    key="theory",
    title="Theory beside measurement",
    unit="thin line and band: the law",
    meaning="What a law says of the run before anything is computed, and what was measured.",
    help=Help(
        formula="measured at layer l against the law's median and its band",
        reading="The band holds the whole curve that other weights and inputs would give at this width, and what "
        "rounding adds: a run that obeys the law leaves it anywhere about once in 500 times. Where it would be wider "
        "than a factor of 100 theory is too weak, and nothing is drawn. A law is drawn only where its premises "
        "hold; elsewhere the card names the first premise that a run does not meet. Of a run that trains only laws "
        "of constrained mixing hold, at every step; the others are of stacks as initialised.",
        symbol="as of each law",
        source="Mean-field theory of wide layers (Poole et al. 2016, Schoenholz et al. 2017), the arc-cosine map (Cho "
        "& Saul 2009), doubly stochastic products, and products of random matrices; each law names its own.",
    ),
    group="signal",
    live=False,
    views=(
        View("gain", "gain →", partial(build, "composite_gain_fwd", "log")),
        View("gain_bwd", "gain ←", partial(build, "composite_gain_bwd", "log")),
        View("activation", "activation", partial(build, "act_rms", "log")),
        View("gradient", "gradient", partial(build, "grad_rms", "log")),
        View("tokens", "tokens", partial(build, "token_cos", "linear")),
    ),
    table=(
        Column("gain →", "composite_gain_fwd", "law"),
        Column("gain ←", "composite_gain_bwd", "law"),
        Column("activation", "act_rms", "law"),
        Column("gradient", "grad_rms", "law"),
        Column("token cosine", "token_cos", "law"),
    ),
    follows_step=True,
)
