"""Findings on the mixing: gains of its products, what Sinkhorn leaves, what its gradient can do."""

import numpy as np

from mhc_core.findings.gains import format_gains, number_gains, read_gains
from mhc_core.findings.words import build_finding, count, format_number, is_dynamic, to_finite
from mhc_core.record.result import Result
from mhc_core.record.summary import Finding
from mhc_core.spec import DOUBLY_STOCHASTIC, FREE, MANIFOLD, SINKHORN, RunSpec
from mhc_core.theory.premises import is_row_stochastic

FROZEN = 0.05  # of what reaches the logits at the uniform matrix


def describe_connection(spec: RunSpec, result: Result) -> Finding:
    """What the product of all mixing matrices does to a signal that all streams share."""
    gains, has_seeds = read_gains(result), result.seeds is not None
    told, numbers = format_gains(gains, spec.dtype, has_seeds=has_seeds), number_gains(gains)
    rounds = spec.connection.sinkhorn_iters
    if spec.connection.kind == "none":
        text = "Nothing passes the layers by: each rewrites the signal."
    elif spec.connection.kind == "residual":
        text = "One stream, passed on unchanged: nothing to mix, gain 1 at every depth."
        if (result.matrices["h_res"] > 1).any():
            text = "One stream: nothing to mix; DeepNorm enlarges it on its way past each branch, and a norm follows."
        elif spec.block.norm_position == "post":
            text = "One stream: nothing to mix, gain 1 at every depth; the norm after each addition rescales it."
    elif spec.connection.kind in FREE:
        text = f"{_name_product(result, 'free mixing ')}: {told}."
    elif spec.connection.kind in DOUBLY_STOCHASTIC:
        is_rounded = spec.maps_coarsely and spec.connection.kind != "identity_hc"
        rounding = f" but for rounding to {spec.connection.mapping_dtype}" if is_rounded else ""
        after = f", doubly stochastic by construction{rounding}"
        text = f"{_name_product(result, after=after)}: {told}."
    elif rounds == 0:
        text = f"exp() without Sinkhorn, {_name_product(result)}: {told}."
    else:
        after = f" after {count(rounds, 'Sinkhorn round')}"
        text = f"{_name_product(result, after=after)}: {told}."
        least = None if has_seeds else to_finite(np.min(result.layers["composite_min_col_sum"]))
        if least is not None:
            numbers["min_col_sum"] = least
            text = f"{text[:-1]}, least column sum {format_number(least)}."
    return build_finding("connection", text, "gain", numbers)


def _name_product(result: Result, kind: str = "", after: str = "") -> str:
    """The matrices whose product a gain is of, as "64 free mixing matrices multiplied"; dynamic ones are averaged."""
    layers = result.depth
    noun = f"{layers} {kind}{'matrix' if layers == 1 else 'matrices'}"
    if not is_dynamic(result):
        return f"{noun}{'' if layers == 1 else ' multiplied'}{after}"
    return f"{noun}{after}, averaged over tokens{'' if layers == 1 else ' and multiplied'}"


def describe_truncation(spec: RunSpec, result: Result) -> Finding | None:
    """By how much the sums are off that Sinkhorn's rounds should make 1, where it shows."""
    if spec.connection.kind not in SINKHORN or spec.connection.sinkhorn_iters == 0 or spec.streams == 1:
        return None
    columns = np.abs(result.layers["h_res_col_sum"] - 1).max(1)
    # The mean over tokens hides the worst of them.
    errors = result.layers.get("ds_error_tokens", columns)
    if not np.nanmax(errors, initial=0.0) > 1e-5:
        return None
    worst = int(np.nanargmax(errors))
    error = float(errors[worst])
    # With eps rows are off as well, and the worst token's error may be one of a row.
    sums = "a column sum" if is_row_stochastic(spec) or errors is columns else "a row or column sum"
    whose = sums if errors is columns else f"{sums} of the worst token"
    text = f"After {count(spec.connection.sinkhorn_iters, 'Sinkhorn round')} {whose} is off by {format_number(error)}"
    text += f" at layer {worst + 1}"
    if is_row_stochastic(spec):
        text += ": rows are exact, so the error sits in the backward gain"
    return build_finding("truncation", f"{text}.", "mixing", {"ds_error": error, "layer": worst})


def describe_symmetry(spec: RunSpec, result: Result) -> Finding | None:
    """Streams start identical; uniform H_post and rows of H_res that sum to 1 keep them so (equations section 3)."""
    cosine = result.layers.get("stream_cos")
    if spec.connection.kind not in MANIFOLD or cosine is None or not np.all(cosine > 1 - 1e-5):
        return None
    uneven = np.ptp(result.matrices["h_post"], axis=1).max()
    rows = np.abs(result.layers["h_res_row_sum"] - 1).max()
    if max(uneven, rows) > 1e-6:
        return None
    text = (
        "All streams stay identical, so no gradient reaches the logits of H_res and any doubly stochastic matrix would "
        "do: no signal by symmetry."
    )
    return build_finding("symmetry", text, "mixing", {"stream_cos_min": float(cosine.min())})


def describe_frozen(spec: RunSpec, result: Result) -> Finding | None:
    """Saturated logits, where there is a gradient for them to follow; layers without one are left out."""
    share = result.layers.get("mixing_grad_share")
    # Of identical streams the whole gradient at H_res can be rounding, and then so is its share.
    if share is None or np.isnan(share).all() or describe_symmetry(spec, result):
        return None
    median, free = float(np.nanmedian(share)), 1 / spec.streams
    if median > FROZEN * free:
        return None
    text = (
        f"The logits of H_res are saturated: {format_number(median)} of the gradient that it could follow reaches "
        f"them in the median over layers, against {format_number(free)} at the uniform matrix."
    )
    numbers = {"share_median": median, "share_uniform": free, "layers": int(np.isfinite(share).sum())}
    return build_finding("frozen", text, "mixing", numbers)
