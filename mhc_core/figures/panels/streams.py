"""Magnitude and gradient of each stream, and whether the streams still differ."""

from functools import partial

import plotly.graph_objects as go

from mhc_core.figures.panel import STALE_NUMERICS, Column, Help, Panel, View, bottom_up, build_lines, line, stream_line
from mhc_core.figures.style import Theme


def build_sizes(key: str, runs: int, theme: Theme) -> go.Figure:
    """Build a figure with a thin line per stream."""
    figure = build_lines(theme, "log")
    figure.layout.meta["unknown"] = STALE_NUMERICS
    figure.update_layout(hovermode="closest")
    for run, style in bottom_up(theme, runs):
        figure.add_trace(stream_line(run, style, key, "log"))
    return figure


def build_similarity(runs: int, theme: Theme) -> go.Figure:
    """Build a figure with mean pairwise cosine of the streams; not defined for one stream."""
    figure = build_lines(theme, "linear", include=(0.0, 1.0), limits=[-1.0, 1.0])
    figure.layout.meta["empty"] = "Every run has one stream."
    figure.layout.meta["unknown"] = STALE_NUMERICS
    for run, style in bottom_up(theme, runs):
        figure.add_trace(line(run, style, "stream_cos", "linear"))
    return figure


GRADIENT = "Magnitude of each stream's gradient at the output of each layer."
SIMILARITY = "Mean cosine similarity of the streams of one token. 1: all streams carry the same signal."

PANEL = Panel(
    key="streams",
    title="Single streams",
    unit="one line per stream",
    meaning="Magnitude of each stream at the output of each layer.",
    help=Help(
        formula="rms(x_l[i]); rms(g_l[i]), g_l = d loss / d x_l; mean of cos(x_l[i], x_l[j]) over i ≠ j and tokens",
        reading="If the lines of a run coincide, its streams have the same magnitude; if their similarity is also 1, "
        "they carry the same signal, and n streams do no more than one. If the lines fan out, some streams carry the "
        "signal and others fade. At the cursor the largest and the smallest stream of each run are listed. At a "
        "training step the values are of the nearest step whose matrices are stored, on that step's batch.",
        symbol="x_l[i], i = 1 … n",
        source="Hyper-Connections, arXiv 2409.19606; the metrics act_rms_streams, grad_rms_streams and stream_cos",
    ),
    group="mixing",
    live=True,
    views=(
        View("activation", "activation", partial(build_sizes, "act_rms_streams")),
        View("gradient", "gradient", partial(build_sizes, "grad_rms_streams"), GRADIENT),
        View("similarity", "similarity", build_similarity, SIMILARITY, "mean over pairs of streams", "stream_cos"),
    ),
    table=(
        Column("activation", "act_rms_streams", "streams"),
        Column("gradient", "grad_rms_streams", "streams"),
        Column("stream cosine", "stream_cos"),
    ),
    follows_step=True,
)
