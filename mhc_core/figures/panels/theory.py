"""Measured curves and the range that theory predicts from the spec."""

from functools import partial

from mhc_core.figures.panel import (
    Column,
    Help,
    Panel,
    Template,
    Trace,
    View,
    band,
    bottom_up,
    build_lines,
    curve,
    line,
)
from mhc_core.figures.style import RunStyle, Theme

EMPTY = "No theory applies to these runs."


def build(key: str, scale: str, runs: int, theme: Theme, *, has_all_runs: bool = True) -> Template:
    """Build a figure with the predicted band, the prediction as a thin line, and the measured curve.

    has_all_runs: whether runs without a prediction are drawn; default True.
    """
    is_gain = key.startswith("composite_gain")
    figure = build_lines(theme, scale, include=(0.0,) if is_gain else ())
    if not has_all_runs:
        figure["layout"]["meta"]["empty"] = EMPTY
    suffix = "_log10" if scale == "log" else ""
    for run, style in bottom_up(theme, runs):
        figure["data"] += band(run, style, key, f"law.low{suffix}.{key}", f"law.high{suffix}.{key}")
    for run, style in bottom_up(theme, runs):
        figure["data"].append(_build_law(run, style, key, suffix))
    for run, style in bottom_up(theme, runs):
        measured = line(run, style, key, scale)
        if not has_all_runs:
            # This source hides runs without a law.
            measured["meta"]["fill"]["customdata"] = f"law.text.{key}"
            measured["hovertemplate"] = "%{text}, predicted %{customdata}"
        figure["data"].append(measured)
    return figure


def _build_view(key: str, scale: str, runs: int, theme: Theme) -> Template:
    return build(key, scale, runs, theme, has_all_runs=False)


def _build_law(run: int, style: RunStyle, key: str, suffix: str) -> Trace:
    """Build the thin line of a law's prediction. `suffix` is `_log10` on a logarithmic axis."""
    fill = {"x": "layer", "y": f"law.values{suffix}.{key}"}
    return curve(
        line={"color": style.color, "width": 1},
        meta={"run": run, "key": key, "fill": fill, "end": False, "look": {}},
        hoverinfo="skip",
    )


PANEL = Panel(
    key="theory",
    title="Theory vs. measurement",
    unit="band: predicted range",
    meaning="The range that theory predicts from the settings alone (band), and what was measured (thick line).",
    help=Help(
        formula="measured value at layer l, predicted median and predicted range",
        reading="The band covers the curves that other weights and inputs give at this width, including rounding. A "
        "run for which the theory holds leaves it about once in 500 times. No band is drawn where it would be wider "
        "than a factor of 100. A prediction is shown only if all its assumptions hold; otherwise the card names the "
        "first one that does not. For trained stacks only the predictions about constrained mixing hold, at every "
        "step; the others are about stacks as initialised.",
        symbol="depends on the law",
        source="Mean-field theory of wide layers (Poole et al. 2016, Schoenholz et al. 2017), the arc-cosine map (Cho "
        "& Saul 2009), doubly stochastic products, and products of random matrices; each law names its own.",
    ),
    group="expert",
    live=False,
    views=(
        View("gain", "gain, forward", partial(_build_view, "composite_gain_fwd", "log")),
        View("gain_bwd", "gain, backward", partial(_build_view, "composite_gain_bwd", "log")),
        View("activation", "activation", partial(_build_view, "act_rms", "log")),
        View("gradient", "gradient", partial(_build_view, "grad_rms", "log")),
        View("tokens", "tokens", partial(_build_view, "token_cos", "linear")),
    ),
    table=(
        Column("gain, forward", "composite_gain_fwd", "law"),
        Column("gain, backward", "composite_gain_bwd", "law"),
        Column("activation", "act_rms", "law"),
        Column("gradient", "grad_rms", "law"),
        Column("token cosine", "token_cos", "law"),
    ),
    follows_step=True,
)
