"""The mixing in another basis of the streams: the weights if every H_res is the identity, and one layer's matrices."""

import re
from functools import partial
from typing import Any

from mhc_core.figures.cells import build_cells, signed_scale
from mhc_core.figures.panel import (
    Column,
    Help,
    Panel,
    Template,
    View,
    bottom_up,
    build_curves,
    build_lines,
    stream_line,
    update_axes,
)
from mhc_core.figures.style import Theme

NOT_COMPUTED = "Computed without this metric."
REASONS = (
    {"unknown": True, "text": "Known only after the last training step."},
    {"without": "h_res", "text": "This run does not mix several streams."},
    {"with": "h_read", "text": "Streams are parts of the width, not copies."},
)
STATIC = {"without": "h_res_std", "text": "All tokens have the same mixing."}
NO_INVERSE = "no inverse in float32"
SHARES = "kernel_shares"


def build_norms(key: str, runs: int, theme: Theme) -> Template:
    """Build a figure with one curve per run, and a line at 1."""
    meta = {"absent": explain_absence(key), "lost": {"nan": NO_INVERSE}}
    return build_curves(key, "log", runs, theme, include=(0.0,), level=0.0, **meta)


def explain_absence(key: str) -> dict[str, Any]:
    """Return why a run may lack a metric of this panel: the reasons, and a text if none of them applies."""
    reasons = [*REASONS, *([STATIC] if key == "gauge_remainder" else [])]
    return {"key": key, "text": NOT_COMPUTED, "reasons": reasons}


def build_shares(runs: int, theme: Theme) -> Template:
    """Build a figure with a thin line for each Hankel singular value, the largest first."""
    figure = build_lines(theme, "linear", include=(0.0, 1.0))
    figure["layout"]["meta"]["absent"] = explain_absence(SHARES)
    figure["layout"]["hovermode"] = "closest"
    for run, style in bottom_up(theme, runs):
        trace = stream_line(run, style, SHARES, "linear")
        del trace["meta"]["parts"]  # the lines are not streams
        trace["hovertemplate"] = trace["hovertemplate"].replace("stream", "value")
        figure["data"].append(trace)
    return figure


READS = "How strongly each layer reads the streams, in the basis in which every H_res is the identity."
REMAINDER = (
    "With dynamic mixing each token has its own H_res: how far these are from the identity where their mean is the "
    "identity."
)
HANKEL = "Through how many streams outputs up to each layer reach later layers: singular values over their sum."

PANEL = Panel(
    key="gauge",
    title="Fixed basis",
    unit="norm of the write weights",
    meaning="How strongly each layer writes to the streams, in the basis in which every H_res is the identity. A value "
    "that rises means that mixing removes differences which layers write.",
    help=Help(
        formula="S_1 = I, S_{l+1} = S_l H_res_l⁻¹; reads: ‖H_pre_l S_l⁻¹‖; writes: ‖S_{l+1} H_post_l‖; Hankel: "
        "σ_i / Σ σ of w[k,j], k > l, j ≤ l",
        reading="Streams can be written in another basis at each layer (a gauge) without any change of the outputs. In "
        "one such basis every H_res is the identity, and what mixing does is all in the weights of reads and writes. "
        "Orthogonal mixing keeps the norms of both. Doubly stochastic mixing makes reads smaller, and writes larger, "
        "the more it averages; where H_res has no inverse, such as the uniform matrix, there is no such basis, and "
        "writes have no value. Free mixing can do either. “Hankel” has one line for each stream. If the first is at 1, "
        "one stream would carry all outputs to later layers; the basis of the streams does not matter. Values that "
        "rounding to float32 could change by 10 % or more are left out.",
        symbol="H_pre S⁻¹, S H_post, σ_i(w)",
        source="Defined here. With dynamic mixing: matrices averaged over samples",
    ),
    group="expert",
    live=False,
    views=(
        View("writes", "writes", partial(build_norms, "gauge_write_norm")),
        View("reads", "reads", partial(build_norms, "gauge_read_norm"), READS, "norm of the read weights"),
        View(
            "remainder",
            "tokens",
            partial(build_norms, "gauge_remainder"),
            REMAINDER,
            "distance from the identity",
            "gauge_remainder",
        ),
        View("hankel", "Hankel", build_shares, HANKEL, "share of each singular value", SHARES),
    ),
    table=(
        Column("write weights", "gauge_write_norm"),
        Column("read weights", "gauge_read_norm"),
        Column("tokens, remainder", "gauge_remainder"),
        Column("streams in use", "kernel_rank"),
        Column("Hankel", SHARES, "streams"),
    ),
    follows_step=True,
)


GRID = {"direction": "columns", "cell": 100, "gap": 12}
STOPS = {"0": "0", "25": "¼", "50": "½", "75": "¾", "100": "1"}  # t in percent, and the button of its view


def build_layer(percent: str, runs: int, theme: Theme) -> Template:
    """Build a figure with one matrix per run: H_pre above and H_post left of H_res, on one signed logarithmic scale."""
    heat = {
        "key": "h_res",
        "fill": {"z": f"signed_log.basis.{percent}", "text": f"basis_text.{percent}"},
        "x0": 0,
        "dx": 1,
        "y0": 0,
        "dy": 1,
        "xgap": 2,
        "ygap": 2,
        "hoverongaps": False,
        "hovertemplate": "to %{y} from %{x} (0: the branch)<br>%{text}<extra>%{fullData.name}</extra>",
    }
    meta = {"symmetric": "coloraxis", "signed_log": True, "empty": NO_STREAMS}
    figure = build_cells(runs, theme, GRID, heat, signed_scale(theme), **meta)
    update_axes(figure, "x", title=None, showticklabels=False, fixedrange=True)
    update_axes(figure, "y", autorange="reversed", showticklabels=False, fixedrange=True)
    figure["layout"]["margin"] |= {"l": 14, "t": 24, "b": 14}
    return figure


def build_between(key: str) -> View | None:
    """Build the view of the mixing in a basis from the given one (key `t0`) to the fixed one (`t100`); None for other
    keys.
    """
    percent = re.fullmatch(r"t(\d{1,2}|100)", key)
    return View(key, f"{int(percent[1]) / 100:g}", partial(build_layer, percent[1])) if percent else None


NO_STREAMS = "No mixing of several streams that are copies."

PANEL_LAYER = Panel(
    key="basis",
    title="Mixing in another basis",
    unit="first row: H_pre, first column: H_post, rest: H_res",
    meaning="The mixing of one layer while the basis of the streams moves from the one as computed, 0, to the one in "
    "which every H_res is the identity, 1. The outputs of the stack stay the same.",
    help=Help(
        formula="S_l = E_l C_l⁻¹ Q_lᵀ, H_res_l Q_l = Q_{l+1} T_l, T_l C_l = C_{l+1} diag(T_l), "
        "E_{l+1} = E_l diag(T_l)⁻¹; H_pre' = H_pre S_l⁻¹; H_post' = S_{l+1} H_post; H_res' = S_{l+1} H_res S_l⁻¹",
        reading="What the slider changes belongs to the choice of a basis. It keeps the weight of each output in "
        "each later input. From 0 to ½ streams are rotated (Q) until every H_res is upper triangular, up to ¾ sheared "
        "(C) until it is diagonal, and up to 1 scaled (E) until it is the identity. At ¾ each stream is one direction "
        "that mixing only scales; if the determinant of H_res is negative, one of these numbers changes its sign "
        "there. After ¾ one matrix for all layers also leads the embedding back to its basis as computed, so that at "
        "1 all mixing of the layers up to the cursor is in H_pre and H_post. Verify computes a stack of static mixing "
        "at 1 without that matrix, which keeps the digits of float64: its output differs by rounding alone. "
        "H_pre and H_post are blank where the basis could enlarge a rounding of float32 to 10 %: after many layers "
        "of free mixing, near 1. Where H_res has no inverse there is no other basis. Orthogonal mixing stays "
        "orthogonal at every position. Colours are ±log(1 + |w|).",
        symbol="H_pre S⁻¹, S H_post, S H_res S⁻¹",
        source="Defined here. With dynamic mixing: matrices averaged over samples",
    ),
    group="expert",
    live=False,
    views=tuple(View(f"t{percent}", title, partial(build_layer, percent)) for percent, title in STOPS.items()),
    follows_step=True,
    between=build_between,
)
