"""The composite gain: how much products of mixing matrices amplify a shared signal, and a shared gradient."""

from functools import partial

from mhc_core.figures.panel import (
    Column,
    Help,
    Panel,
    Template,
    View,
    band,
    bottom_up,
    build_curves,
    build_lines,
    dots,
    draw_level,
    line,
)
from mhc_core.figures.panels.theory import build as build_theory
from mhc_core.figures.style import Theme


def build(key: str, scale: str, runs: int, theme: Theme) -> Template:
    """Build a figure with one curve per run, and a line at 1."""
    # If layers are chosen, the product is of these layers only.
    meta = {"absent": {"key": key, "text": ABSENT}, "composites": "part"}
    include, level = ((0.0,), 0.0) if scale == "log" else ((0.0, 1.0), 1.0)
    return build_curves(key, scale, runs, theme, include=include, level=level, **meta)


def build_tokens(key: str, runs: int, theme: Theme) -> Template:
    """Build a figure with three elements for each run with dynamic mixing: a band from the least to the largest gain of
    a token, their median, and the gain of the averaged matrices.
    """
    figure = build_lines(theme, "log", include=(0.0,))
    figure["layout"]["meta"]["empty"] = STATIC
    figure["layout"]["shapes"] = [draw_level(0.0, theme)]
    for run, style in bottom_up(theme, runs):
        figure["data"] += band(run, style, key, f"log10.{key}_token_min", f"log10.{key}_token_max")
    for run, style in bottom_up(theme, runs):
        median = f"{key}_token_median"
        figure["data"].append(dots(run, style, median, f"log10.{median}", f"text.{median}", "median token"))
    for run, style in bottom_up(theme, runs):
        averaged = line(run, style, key, "log", hovertemplate="%{text} averaged, tokens %{customdata}")
        # This source hides runs with static mixing, which have no gains per token.
        averaged["meta"]["fill"]["customdata"] = f"span.{key}_token"
        figure["data"].append(averaged)
    return figure


FORWARD, BACKWARD = "composite_gain_fwd", "composite_gain_bwd"
NEEDS_TOKENS = "ds_error_tokens"  # a metric of runs with dynamic mixing that is known from the first layer on
ABSENT = "no mixing"
STATIC = "No gains per token: mixing is static, not computed yet,<br>or shown at a training step."
TOKENS = (
    "With dynamic mixing each token has its own matrices. Band: gains of all tokens; dotted: their median; thick line: "
    "gain of the matrices averaged over tokens."
)
READING = (
    "A straight rising line means that every layer multiplies what came before, so the stack becomes unstable with "
    "depth. Doubly stochastic matrices keep both gains at 1; under Sinkhorn, a backward gain above 1 is the error that "
    "its rounds leave. Orthogonal matrices keep the norm of all streams together, so their gains lie between 1 and the "
    "root of the number of streams: the signal moves between streams. Under “tokens”, a wide band means that the "
    "average describes no single token. Its edges are "
    "extremes, so they widen with the number of tokens."
)
OF_MIXING_ALONE = (
    " It is the gain of the mixing matrices alone. The gradient also passes the branches, and in a pre-norm stack the "
    "last norm first divides it by the size of the signal: it can be small where this gain is large."
)
SOURCE = (
    "mHC, arXiv 2512.24880, section 3.1. At 27B the paper reports up to about 3000 for HC (Fig. 3) and about 1.6 for "
    "mHC (Fig. 7)."
)


def _list_views(key: str, unit: str) -> tuple[View, ...]:
    """Return the views of a gain: logarithmic, linear, per token, and with theory."""
    return (
        View("log", "log", partial(build, key, "log")),
        View("linear", "linear", partial(build, key, "linear")),
        View("tokens", "tokens", partial(build_tokens, key), TOKENS, f"{unit}, per token", NEEDS_TOKENS),
        View("theory", "theory", partial(build_theory, key, "log")),
    )


def _list_columns(key: str) -> tuple[Column, ...]:
    """Return the columns of a gain in tables: of the mean mixing, and of single tokens."""
    endings = {
        "gain": "",
        "tokens with own matrices": "_tokens",
        "smallest token": "_token_min",
        "median token": "_token_median",
        "mean of tokens": "_token_mean",
        "largest token": "_token_max",
    }
    return tuple(Column(title, f"{key}{ending}") for title, ending in endings.items())


PANEL = Panel(
    key="gain",
    title="Gain, forward",
    unit="composite, Amax",
    meaning="How much the mixing alone amplifies a signal that all streams share, from layer 1 up to each layer. 1 "
    "leaves it unchanged.",
    help=Help(
        formula="max_i |Σ_j M_ij|, M = H_res_l … H_res_1",
        reading=READING,
        symbol="Amax gain, forward",
        source=SOURCE,
    ),
    group="strip",
    live=False,
    views=(
        *_list_views(FORWARD, "forward"),
        # For old links, from before the backward gain had a separate panel.
        View("tokens_bwd", "tokens, backward", partial(build_tokens, BACKWARD), TOKENS, "backward, per token", "never"),
    ),
    table=(
        *_list_columns(FORWARD),
        Column("largest singular value", "composite_sigma_max"),
        Column("least singular value", "composite_sigma_min"),
    ),
    follows_step=True,
)

PANEL_BACKWARD = Panel(
    key="gain_bwd",
    title="Gain, backward",
    unit="composite, Amax",
    meaning="How much the mixing alone amplifies a gradient that all streams share, from the last layer down to each "
    "layer. 1 leaves it unchanged.",
    help=Help(
        formula="max_j |Σ_i M_ij|, M = H_res_L … H_res_l",
        reading=READING + OF_MIXING_ALONE,
        symbol="Amax gain, backward",
        source=SOURCE,
    ),
    group="strip",
    live=False,
    views=_list_views(BACKWARD, "backward"),
    table=_list_columns(BACKWARD),
    follows_step=True,
)
