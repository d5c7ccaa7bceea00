"""Each stream for itself: how large it is, how large its gradient is, and whether streams still differ."""

from functools import partial

import plotly.graph_objects as go

from app.figures.panel import STALE_NUMERICS, Column, Help, Panel, View, bottom_up, build_lines, line
from app.figures.style import RunStyle, Theme

LOOK = {"dash": True, "weight": 0.65}  # there may be many lines


def build_sizes(key: str, runs: int, theme: Theme) -> go.Figure:
    """A thin line for each stream, those of one run as one trace: how many there are is known with the data."""
    figure = build_lines(theme, "log")
    figure.layout.meta["unknown"] = STALE_NUMERICS
    figure.update_layout(hovermode="closest")
    for run, style in bottom_up(theme, runs):
        figure.add_trace(_streams(run, style, key))
    return figure


def build_similarity(runs: int, theme: Theme) -> go.Figure:
    """Mean pairwise cosine of the streams; a run of one stream has none."""
    figure = build_lines(theme, "linear", include=(0.0, 1.0), limits=[-1.0, 1.0])
    figure.layout.meta["empty"] = "No run here has more than one stream."
    figure.layout.meta["unknown"] = STALE_NUMERICS
    for run, style in bottom_up(theme, runs):
        figure.add_trace(line(run, style, "stream_cos", "linear"))
    return figure


def _streams(run: int, style: RunStyle, key: str) -> go.Scatter:
    fill = {
        "x": f"stream_layer.{key}",
        "y": f"stream_log10.{key}",
        "text": f"stream_text.{key}",
        "customdata": f"stream_number.{key}",
        "name": "label",
    }
    return go.Scatter(
        mode="lines",
        line={"color": style.color, "width": LOOK["weight"] * style.width, "dash": style.dash},
        # At the cursor the page names the streams of the values that it shows.
        meta={"run": run, "key": key, "fill": fill, "end": True, "parts": "stream", "look": LOOK},
        connectgaps=False,
        hovertemplate="layer %{x}, stream %{customdata}<br>%{text}<extra>%{fullData.name}</extra>",
    )


PANEL = Panel(
    key="streams",
    title="Streams",
    unit="one line a stream",
    meaning="How large each stream and its gradient are, and how alike the streams of one token are.",
    help=Help(
        formula="rms(x_l[i]); rms(g_l[i]), g_l = d loss / d x_l; mean of cos(x_l[i], x_l[j]) over i ≠ j and tokens",
        reading="Lines of one run that lie on each other: its streams are of one size, and where the similarity is 1 "
        "as well they carry the same, so that n of them do no more than one. Lines that fan out: some streams carry "
        "the signal, others fade. At the cursor stand the largest and the least stream of a run, by their numbers. "
        "At a step of training it is the nearest step whose matrices are kept, on its own batch.",
        symbol="x_l[i], i = 1 … n",
        source="Hyper-Connections, arXiv 2409.19606; the metrics act_rms_streams, grad_rms_streams and stream_cos",
    ),
    group="mixing",
    live=True,
    views=(
        View("activation", "activation", partial(build_sizes, "act_rms_streams")),
        View("gradient", "gradient", partial(build_sizes, "grad_rms_streams")),
        View("similarity", "similarity", build_similarity, needs="stream_cos"),
    ),
    table=(
        Column("activation", "act_rms_streams", "streams"),
        Column("gradient", "grad_rms_streams", "streams"),
        Column("stream cosine", "stream_cos"),
    ),
    follows_step=True,
)
