"""Magnitude and gradient of each stream, the similarity of streams, and the number of streams in use."""

from functools import partial

from mhc_core.figures.panel import (
    STALE_NUMERICS,
    Column,
    Help,
    Panel,
    Template,
    View,
    bottom_up,
    build_curves,
    build_lines,
    line,
    stream_line,
)
from mhc_core.figures.style import Theme


def build_sizes(key: str, runs: int, theme: Theme) -> Template:
    """Build a figure with the size of each stream over the layers, one thin line per stream."""
    figure = build_lines(theme, "log")
    figure["layout"]["meta"]["unknown"] = STALE_NUMERICS
    figure["layout"]["hovermode"] = "closest"
    for run, style in bottom_up(theme, runs):
        figure["data"].append(stream_line(run, style, key, "log"))
    return figure


def build_similarity(runs: int, theme: Theme) -> Template:
    """Build a figure with the mean cosine over pairs of streams; empty for runs with one stream."""
    figure = build_lines(theme, "linear", include=(0.0, 1.0), limits=[-1.0, 1.0])
    figure["layout"]["meta"]["empty"] = "Every run has one stream."
    figure["layout"]["meta"]["unknown"] = STALE_NUMERICS
    for run, style in bottom_up(theme, runs):
        figure["data"].append(line(run, style, "stream_cos", "linear"))
    return figure


def build_use(runs: int, theme: Theme) -> Template:
    """Build a figure with the effective rank of the effective skip connections across each layer."""
    return build_curves("kernel_rank", "linear", runs, theme, include=(1.0,), empty="Every run has one stream.")


GRADIENT = "Magnitude of each stream's gradient at the output of each layer."
SIMILARITY = "Mean cosine similarity of the streams of one token. 1: all streams carry the same signal."

USE = (
    "How many streams carry outputs up to this layer to later layers, by the mixing alone. 1: one stream would do the "
    "same."
)

PANEL = Panel(
    key="streams",
    title="Single streams",
    unit="one line per stream",
    meaning="Magnitude of each stream at the output of each layer.",
    help=Help(
        formula="rms(x_l[i]); rms(g_l[i]), g_l = d loss / d x_l; mean of cos(x_l[i], x_l[j]) over i ≠ j and tokens; "
        "in use: effective rank of w[k,j], k > l, j ≤ l",
        reading="If the lines of a run coincide, its streams have the same magnitude; if their similarity is also 1, "
        "they carry the same signal, and n streams do no more than one. If the lines fan out, some streams carry the "
        "signal and others fade. “In use” counts the streams through which earlier outputs reach later layers, in "
        "whatever basis streams are written: streams that are all read and written alike count as one. At the cursor "
        "the largest and the smallest stream of each run are listed. At a training step the values are of the nearest "
        "step whose matrices are stored, on that step's batch.",
        symbol="x_l[i], i = 1 … n",
        source="Hyper-Connections, arXiv 2409.19606; the metrics act_rms_streams, grad_rms_streams and stream_cos",
    ),
    group="mixing",
    live=True,
    views=(
        View("activation", "activation", partial(build_sizes, "act_rms_streams")),
        View("gradient", "gradient", partial(build_sizes, "grad_rms_streams"), GRADIENT),
        View("similarity", "similarity", build_similarity, SIMILARITY, "mean over pairs of streams", "stream_cos"),
        View("use", "in use", build_use, USE, "effective streams", "kernel_rank"),
    ),
    table=(
        Column("activation", "act_rms_streams", "streams"),
        Column("gradient", "grad_rms_streams", "streams"),
        Column("stream cosine", "stream_cos"),
        Column("streams in use", "kernel_rank"),
    ),
    follows_step=True,
)
