"""Cosine similarity of the inputs of consecutive layers, and of tokens."""

from mhc_core.figures.panel import (
    STALE_NUMERICS,
    Column,
    Help,
    Panel,
    Template,
    View,
    band,
    bottom_up,
    build_curves,
    build_lines,
    line,
)
from mhc_core.figures.style import Theme


def build_previous(runs: int, theme: Theme) -> Template:
    """Build a figure with the cosine between consecutive branch inputs: the median over tokens as a line, the 5th to
    95th percentile as a band.
    """
    figure = build_lines(theme, "linear", include=(1.0,), limits=[-1.0, 1.0])
    figure["layout"]["meta"]["unknown"] = STALE_NUMERICS
    for run, style in bottom_up(theme, runs):
        figure["data"] += band(run, style, "cos_prev", "layers.cos_prev_p05", "layers.cos_prev_p95")
    for run, style in bottom_up(theme, runs):
        figure["data"].append(line(run, style, "cos_prev", "linear"))
    return figure


def build_tokens(runs: int, theme: Theme) -> Template:
    """Build a figure with the mean cosine over pairs of tokens; 1 is rank collapse."""
    return build_curves(
        "token_cos", "linear", runs, theme, include=(0.0, 1.0), limits=[-1.0, 1.0], unknown=STALE_NUMERICS
    )


TOKENS = "Mean cosine similarity of the tokens' inputs at each layer. 1: all tokens have become the same vector."

PANEL = Panel(
    key="similarity",
    title="Cosine similarity",
    unit="median, 5–95 %",
    meaning="Cosine similarity of consecutive layers' inputs. Near 1: both layers see almost the same input.",
    help=Help(
        formula="cos(u_l, u_{l-1}) over tokens, u_l = Σ_j H_pre[j] x_l[j]; tokens: mean cosine over pairs of tokens",
        reading="Deep pre-norm stacks approach 1: late layers all see the same input. Under “tokens”, 1 means that all "
        "tokens have become the same vector. At a training step it is measured on that step's batch, before the "
        "update.",
        symbol="cos(u_l, u_{l−1})",
        source="Hyper-Connections, arXiv 2409.19606, Fig. 3",
    ),
    group="similarity",
    live=True,
    views=(
        View("previous", "layers", build_previous),
        View("tokens", "tokens", build_tokens, TOKENS, "mean over pairs of tokens"),
    ),
    table=(Column("consecutive layers", "cos_prev"), Column("tokens", "token_cos")),
    follows_step=True,
)
