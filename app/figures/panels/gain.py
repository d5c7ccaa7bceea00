"""What the product of all mixing matrices does to a signal on its way, and to the gradient on its way back."""

from functools import partial

import plotly.graph_objects as go

from app.figures.panel import Column, Help, Panel, View, band, bottom_up, build_lines, line, seed_band
from app.figures.style import RunStyle, Theme


def build(scale: str, runs: int, theme: Theme) -> go.Figure:
    """Two curves a run: forward over layers 1..l thick, backward over l..L thin; a line at 1."""
    figure = build_lines(theme, scale, include=(0.0,) if scale == "log" else (0.0, 1.0))
    figure.layout.meta["composites"] = "part"  # of chosen layers they are those of these alone
    figure.add_hline(y=0.0 if scale == "log" else 1.0, line={"color": theme.muted, "width": 1}, layer="below")
    for run, style in bottom_up(theme, runs):
        figure.add_traces(seed_band(run, style, "composite_gain_fwd", scale))
    for run, style in bottom_up(theme, runs):
        thin = {"width": 1.0}
        hover = "%{text} backward"
        backward = line(run, style, "composite_gain_bwd", scale, end=False, line=thin, opacity=0.8, hovertemplate=hover)
        backward.meta["start"] = "backward"  # it begins at the first layer, where the forward line ends at the last
        figure.add_trace(backward)
    for run, style in bottom_up(theme, runs):
        figure.add_trace(line(run, style, "composite_gain_fwd", scale, hovertemplate="%{text} forward"))
    return figure


def build_tokens(key: str, runs: int, theme: Theme) -> go.Figure:
    """Of each run with dynamic mixing a band over its tokens' own gains, their median, and the gain as elsewhere."""
    figure = build_lines(theme, "log", include=(0.0,))
    figure.layout.meta["empty"] = STATIC
    figure.add_hline(y=0.0, line={"color": theme.muted, "width": 1}, layer="below")
    for run, style in bottom_up(theme, runs):
        figure.add_traces(band(run, style, key, f"log10.{key}_token_min", f"log10.{key}_token_max"))
    for run, style in bottom_up(theme, runs):
        figure.add_trace(_median(run, style, f"{key}_token_median"))
    for run, style in bottom_up(theme, runs):
        averaged = line(run, style, key, "log", hovertemplate="%{text} averaged, tokens %{customdata}")
        # A run of static mixing has no tokens apart, and is left out.
        averaged.meta["fill"]["customdata"] = f"span.{key}_token"
        figure.add_trace(averaged)
    return figure


def _median(run: int, style: RunStyle, key: str) -> go.Scatter:
    fill = {"x": "layer", "y": f"log10.{key}", "text": f"text.{key}"}
    return go.Scatter(
        mode="lines",
        line={"color": style.color, "width": 1.5, "dash": "1px,3px"},
        meta={"run": run, "key": key, "end": False, "look": {}, "fill": fill},
        connectgaps=False,
        name="",
        hovertemplate="%{text} median token",
    )


APART = "ds_error_tokens"  # of tokens with matrices of their own, known from the first layer on
STATIC = "No tokens to tell apart here: mixing is static,<br>not done yet, or shown at a step of training."
TOKENS = (
    "Dynamic mixing gives each token its own matrices: the band holds all tokens' gains, dotted their median; the "
    "thick line is of matrices averaged over tokens."
)

PANEL = Panel(
    key="gain",
    title="Composite gain",
    unit="Amax",
    meaning="What the mixing alone makes of a signal that all streams share (forward, thick) and of such a gradient "
    "(backward, thin); 1 passes it on unchanged.",
    help=Help(
        formula="forward: max_i |Σ_j M_ij|, M = H_res_l … H_res_1; backward: max_j |Σ_i M_ij|, M = H_res_L … H_res_l",
        reading="A straight rising line means that every layer multiplies what came before: instability by "
        "depth. Doubly stochastic matrices hold both at 1; what the backward gain leaves above 1 is "
        "what the Sinkhorn rounds leave. Under “tokens” a wide band says that the average speaks for no token; its "
        "edges are extremes, which widen with the number of tokens. Where mixing does not look at its input yet, as "
        "many start, all tokens are alike and the band is a line.",
        symbol="Amax gain",
        source="mHC, arXiv 2512.24880, section 3.1. At 27B the paper reports up to about 3000 for HC (Fig. 3) and "
        "about 1.6 for mHC (Fig. 7).",
    ),
    group="gain",
    live=False,
    views=(
        View("log", "log", partial(build, "log")),
        View("linear", "linear", partial(build, "linear")),
        View("tokens", "tokens →", partial(build_tokens, "composite_gain_fwd"), TOKENS, "forward, over tokens", APART),
        View(
            "tokens_bwd",
            "tokens ←",
            partial(build_tokens, "composite_gain_bwd"),
            TOKENS,
            "backward, over tokens",
            APART,
        ),
    ),
    table=tuple(
        Column(f"{way}{title}", f"composite_gain_{key}{ending}")
        for way, key in (("forward", "fwd"), ("backward", "bwd"))
        for title, ending in (
            ("", ""),
            (", tokens apart", "_tokens"),
            (", least token", "_token_min"),
            (", median token", "_token_median"),
            (", mean of tokens", "_token_mean"),
            (", largest token", "_token_max"),
        )
    ),
    follows_step=True,
)
