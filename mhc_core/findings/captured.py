"""Findings on the connection of a model that no spec describes: what its matrices say, and where they are not known."""

import numpy as np

from mhc_core.findings.gains import build_headline, format_gains, number_gains, read_gains
from mhc_core.findings.words import build_finding, count, format_magnitude, format_number, to_finite
from mhc_core.record.result import Result
from mhc_core.record.summary import Finding, Headline

COMPOSITES = "float64"  # the type in which products of matrices are made


def describe_captured(result: Result) -> Finding:
    """How the state passes the layers by."""
    h_res = result.matrices["h_res"].astype(np.float64)
    lost = int(np.isnan(h_res).any((1, 2)).sum())
    if lost:
        return _describe_unknown(result, lost)
    if _is_identity(h_res):
        text = "One stream, passed on unchanged: nothing to mix, gain 1 at every depth."
        if result.streams > 1:
            text = f"{result.streams} streams, each passed on unchanged: nothing is mixed, gain 1 at every depth."
        return build_finding("connection", text, "gain", {})
    gains = read_gains(result)
    if result.streams == 1:
        text = f"One stream, multiplied by a factor on its way past each layer: {format_gains(gains, COMPOSITES)}."
        return build_finding("connection", text, "gain", number_gains(gains))
    rows, columns = (float(np.abs(result.layers[f"h_res_{side}_sum"] - 1).max()) for side in ("row", "col"))
    text = (
        f"{count(result.depth, 'mixing matrix')}: {format_gains(gains, COMPOSITES)}; "
        f"row sums within {format_number(rows)} of 1, column sums within {format_number(columns)}."
    )
    numbers = number_gains(gains)
    return build_finding(
        "connection", text, "gain", {**numbers, "row_error": to_finite(rows), "col_error": to_finite(columns)}
    )


def describe_reading(result: Result) -> Finding | None:
    """Layers whose branch reads the streams by no weights that could be heard."""
    lost = [flag for flag in result.status.get("h_pre", {}).values() if flag == "unknown"]
    if not lost or result.streams == 1:
        return None
    where = (
        "In no layer is H_pre" if len(lost) == result.depth else f"In {len(lost)} of {result.depth} layers H_pre is not"
    )
    text = (
        f"{where} known: what the branch reads is no sum of the streams with one weight for each, as where every "
        "channel has a gate of its own."
    )
    return build_finding("reading", text, "mixing", {"layers_unknown": len(lost)})


def describe_heard(result: Result, iteration: int) -> Finding:
    """Which layers one observation of a training has heard."""
    layers, reached = result.depth, _count_gradients(result)
    where = "the only layer was" if layers == 1 else f"all {layers} layers were"
    if reached == layers:
        text = f"{where} heard, forward and backward."
    elif reached == 0:
        text = f"{where} heard, forward alone: no gradient came."
    else:
        text = f"{where} heard; a gradient came to {reached} of them."
    numbers = {"iteration": iteration, "layers": layers, "layers_with_gradient": reached}
    return build_finding("heard", f"After {count(iteration, 'update')} {text}", "activation", numbers)


def _count_gradients(result: Result) -> int:
    """Layers to which a gradient came, be it a number or not."""
    if "grad_rms" not in result.layers:
        return 0
    lost = [layer for layer, flag in result.status.get("grad_rms", {}).items() if flag != "unknown"]
    came = np.isfinite(result.layers["grad_rms"])
    came[lost] = True
    return int(came.sum())


def describe_peak(result: Result) -> Finding | None:
    """Where activations are largest."""
    log10 = result.layers_log10["act_rms"]
    if not np.isfinite(log10).any():
        return None
    layer = int(np.nanargmax(np.where(np.isfinite(log10), log10, np.nan)))
    text = f"Activations are largest after layer {layer + 1}: {format_magnitude(float(log10[layer]))}."
    return build_finding("peak", text, "activation", {"layer": layer, "largest_log10": float(log10[layer])})


def build_captured_headline(result: Result) -> Headline:
    """The worse of the two gains, or that it is not known."""
    h_res = result.matrices["h_res"].astype(np.float64)
    if np.isnan(h_res).any():
        return Headline(label="gain", value=None, log10=None, text="gain not known")
    return build_headline(result, is_fixed=_is_identity(h_res))


def _describe_unknown(result: Result, lost: int) -> Finding:
    """Of layers whose way past the branch is no sum, or does not obey the coefficients that were heard."""
    where = "any layer" if lost == result.depth else f"{lost} of {count(result.depth, 'layer')}"
    if result.streams == 1:
        text = (
            f"The state does not pass {where} unchanged: more than a sum lies on its way, as a norm or an activation, "
            "so that no gain is known."
        )
    else:
        of = "In no layer is the mixing" if lost == result.depth else f"In {where} the mixing is not"
        text = f"{of} known: the states do not tell a matrix that they obey, so that no gain is known."
    return build_finding("connection", text, "gain", {"layers_unknown": lost})


def _is_identity(h_res_Lnn: np.ndarray) -> bool:
    return bool((h_res_Lnn == np.eye(h_res_Lnn.shape[1])).all())
