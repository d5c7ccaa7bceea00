"""Findings on the mixing: gains of its products, the truncation error of Sinkhorn, and gradients that vanish."""

import numpy as np

from mhc_core.findings.gains import describe_product, read_gains, to_gain_numbers
from mhc_core.findings.words import build_finding, count, format_number, format_percent, is_dynamic, to_finite
from mhc_core.record.result import Result
from mhc_core.record.summary import Finding
from mhc_core.spec import RunSpec
from mhc_core.theory.premises import has_unit_row_sums, is_orthogonal

FROZEN = 0.05  # relative to the share of the gradient that reaches the logits at the uniform matrix


def describe_connection(spec: RunSpec, result: Result) -> Finding:
    """Describe how much products of the mixing matrices amplify a signal that all streams share."""
    gains, has_seeds = read_gains(result), result.seeds is not None
    numbers = to_gain_numbers(gains)
    text = _describe_skip_path(spec, result)
    if text is None:
        text = describe_product(_describe_product_of_mixings(spec, result), gains, spec.dtype, has_seeds=has_seeds)
        is_iterated = spec.family.iterates and spec.connection.sinkhorn_iters > 0
        least = to_finite(np.min(result.layers["composite_min_col_sum"])) if is_iterated and not has_seeds else None
        if least is not None:
            numbers["min_col_sum"] = least
            text = f"{text}; its smallest column sum is {format_number(least)}"
        if is_orthogonal(spec) and not spec.family.is_identity:
            text = f"{text}; it keeps the norm of all streams together"
    return build_finding("connection", f"{text}.", "gain", numbers)


def _describe_skip_path(spec: RunSpec, result: Result) -> str | None:
    """Describe the skip path of a stack with one stream, or that there is none; None if there are coefficients."""
    if not spec.family.skips:
        return "There is no skip path: each layer replaces the signal"
    if spec.family.has_coefficients:
        return None
    if spec.edits_mixing:
        return "One stream: nothing is mixed. Edits change what passes"
    if (result.matrices["h_res"] > 1).any():
        return "One stream: nothing is mixed. DeepNorm scales it up before each addition, and a norm follows"
    if spec.block.norm_position == "post":
        return "One stream: nothing is mixed, so its gain is 1 at every depth. A norm rescales it after each addition"
    return "One stream passes through unchanged: nothing is mixed, so its gain is 1 at every depth"


def _describe_product_of_mixings(spec: RunSpec, result: Result) -> str:
    """Return the subject of the sentence about gains: the kind of matrices that are multiplied, and for dynamic mixing
    that they are averaged over tokens.
    """
    connection, family = spec.connection, spec.family
    kind, how = _name_mixing(spec), ""
    if family.is_row_stochastic:
        how = _describe_rounding(spec)
    elif family.has_streams and family.norm_bounded:
        how = " with row and column sums of 1" if family.has_unit_sums and family.signed else ""
        how += _describe_rounding(spec)
    elif family.iterates and connection.sinkhorn_iters == 0:
        how = " (exp without Sinkhorn)"
    elif family.iterates:
        how = f" ({count(connection.sinkhorn_iters, 'Sinkhorn round')})"
    if is_dynamic(result):
        how += ", averaged over tokens,"
    return (
        f"The only {kind} matrix{how}"
        if result.depth == 1
        else f"The product of up to {result.depth} {kind} matrices{how}"
    )


def _name_mixing(spec: RunSpec) -> str:
    """Name the mixing by the strongest of its properties, such as "doubly stochastic"."""
    family = spec.family
    if family.drawn == "entries":
        return "unconstrained mixing"
    if family.is_doubly_stochastic:
        return "doubly stochastic mixing"
    if family.is_row_stochastic:
        return "row-stochastic mixing"
    if family.orthogonal:
        return "orthogonal mixing"
    if family.has_unit_sums and family.norm_bounded:
        return "signed mixing"
    return "spectrally bounded mixing" if family.norm_bounded else "mixing"


def _describe_rounding(spec: RunSpec) -> str:
    """Return a note that properties hold only up to rounding of the map, in brackets; "" if they are exact."""
    if not spec.maps_coarsely or spec.family.is_identity:
        return ""
    return f" (up to rounding to {spec.connection.mapping_dtype})"


def describe_truncation(spec: RunSpec, result: Result) -> Finding | None:
    """Describe the deviation of row and column sums from 1 that Sinkhorn's rounds leave; None if it is too small to be
    shown.
    """
    has_rounds = spec.family.iterates and spec.connection.sinkhorn_iters > 0 and spec.streams > 1
    if not has_rounds or spec.edits_mixing:  # edits can change the sums
        return None
    columns = np.abs(result.layers["h_res_col_sum"] - 1).max(1)
    # The mean over tokens hides the worst of them.
    errors = result.layers.get("ds_error_tokens", columns)
    if not np.nanmax(errors, initial=0.0) > 1e-5:
        return None
    worst = int(np.nanargmax(errors))
    error = float(errors[worst])
    # With eps, rows have errors as well, so the worst token's error may be that of a row.
    sums = "a column sum" if has_unit_row_sums(spec) or errors is columns else "a row or column sum"
    whose = sums if errors is columns else f"{sums} of the worst token"
    text = f"After {count(spec.connection.sinkhorn_iters, 'Sinkhorn round')}, {whose} is off by {format_number(error)}"
    text += f" at layer {worst + 1}"
    if has_unit_row_sums(spec):
        text += "; rows are exact, so only the backward gain is affected"
    return build_finding("truncation", f"{text}.", "mixing", {"ds_error": error, "layer": worst})


def describe_symmetry(spec: RunSpec, result: Result) -> Finding | None:
    """Describe that streams stay identical, because H_post is uniform and rows of H_res sum to 1; else None."""
    cosine = result.layers.get("stream_cos")
    family = spec.family
    is_constrained = family.is_mapped and family.rows != "free"
    if not is_constrained or cosine is None or not np.all(cosine > 1 - 1e-5):
        return None
    uneven = np.ptp(result.matrices["h_post"], axis=1).max()
    rows = np.abs(result.layers["h_res_row_sum"] - 1).max()
    if max(uneven, rows) > 1e-6 or _find_spread(result) > 5e-5:
        return None
    text = f"All streams stay identical, so H_res gets no gradient: any {_name_class(spec)} would do the same."
    return build_finding("symmetry", text, "mixing", {"stream_cos_min": float(cosine.min())})


def _find_spread(result: Result) -> float:
    """Return the largest ratio between the sizes of a layer's streams, in decades; coarse rounding can make them
    different.
    """
    sizes = result.layers_log10["act_rms_streams"]
    known = sizes[np.isfinite(sizes).all(1)]
    return float(np.ptp(known, axis=1).max(initial=0.0))


def _name_class(spec: RunSpec) -> str:
    """Name the class of matrices of a family whose rows sum to 1, all of which keep identical streams unchanged."""
    if spec.family.signed:
        return "matrix whose rows sum to 1"
    return "row-stochastic matrix" if spec.family.columns == "free" else "doubly stochastic matrix"


def describe_frozen(spec: RunSpec, result: Result) -> Finding | None:
    """Describe that little of the gradient of H_res reaches its logits, in the median over layers with a gradient; None
    if enough does.

    The reason is saturation, or, for maps that depend on the depth, the map itself.
    """
    share = result.layers.get("mixing_grad_share")
    # If streams are identical, the gradient of H_res can be only rounding error, and then its share has no meaning.
    if share is None or np.isnan(share).all() or describe_symmetry(spec, result):
        return None
    median, free = float(np.nanmedian(share)), 1 / spec.streams
    if median > FROZEN * free:
        return None
    cause, where = ("its map", "for Sinkhorn at") if spec.family.by_depth else ("saturation", "at")
    let_through = f"{cause} lets through {format_percent(median)} of its gradient in the median layer"
    text = f"H_res barely learns here: {let_through}"
    if not spec.family.signed:  # signed families have no softmax or sigmoid, for which the share at uniform is known
        text += f" ({format_percent(free)} {where} uniform mixing)"
    numbers = {"share_median": median, "share_uniform": free, "layers": int(np.isfinite(share).sum())}
    return build_finding("frozen", f"{text}.", "mixing", numbers)
