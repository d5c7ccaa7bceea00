"""Findings on the connection of a recorded model: on its matrices, and on layers in which they are not known."""

import numpy as np

from mhc_core.findings.gains import build_headline, describe_product, read_gains, to_gain_numbers
from mhc_core.findings.words import build_finding, count, format_magnitude, format_number, to_finite
from mhc_core.record.result import Result
from mhc_core.record.summary import Finding, Headline

COMPOSITES = "float64"  # the type in which products of matrices are computed


def describe_captured(result: Result) -> Finding:
    """Describe how the residual path of a recorded model connects its layers."""
    h_res = result.matrices["h_res"].astype(np.float64)
    lost = int(np.isnan(h_res).any((1, 2)).sum())
    if lost:
        return _describe_unknown_gain(result, lost)
    if _is_identity(h_res):
        text = "One stream passes through unchanged: nothing is mixed, so its gain is 1 at every depth."
        if result.streams > 1:
            text = (
                f"{result.streams} streams pass through unchanged: nothing is mixed, so the gain is 1 at every depth."
            )
        return build_finding("connection", text, "gain", {})
    gains = read_gains(result)
    if result.streams == 1:
        factors = "factor" if result.depth == 1 else f"product of {result.depth} factors"
        text = describe_product(f"One stream is scaled at each layer: the {factors}", gains, COMPOSITES)
        return build_finding("connection", f"{text}.", "gain", to_gain_numbers(gains))
    rows, columns = (float(np.abs(result.layers[f"h_res_{side}_sum"] - 1).max()) for side in ("row", "col"))
    product = "The only mixing matrix" if result.depth == 1 else f"The product of up to {result.depth} mixing matrices"
    text = (
        f"{describe_product(product, gains, COMPOSITES)}; row sums of H_res are within {format_number(rows)} of 1, "
        f"column sums within {format_number(columns)}."
    )
    numbers = to_gain_numbers(gains)
    return build_finding(
        "connection", text, "gain", {**numbers, "row_error": to_finite(rows), "col_error": to_finite(columns)}
    )


def describe_reading(result: Result) -> Finding | None:
    """Describe the layers of a recorded model in which H_pre is unknown, because the branch does not read a weighted
    sum of streams; None if there are none.
    """
    lost = [flag for flag in result.status.get("h_pre", {}).values() if flag == "unknown"]
    if not lost or result.streams == 1:
        return None
    where = (
        "In no layer is H_pre" if len(lost) == result.depth else f"In {len(lost)} of {result.depth} layers H_pre is not"
    )
    text = (
        f"{where} known: what the branch reads is not a weighted sum of the streams, for example because every channel "
        "has its own gate."
    )
    return build_finding("reading", text, "mixing", {"layers_unknown": len(lost)})


def describe_start_apart(streams: int) -> Finding:
    """Describe that the streams of a recorded model do not start as copies of one embedding."""
    text = (
        f"The {streams} streams start as different states, not as copies of one. In effective skip connections the "
        "weight of the embedding is that of a shift common to all streams."
    )
    return build_finding("apart", text, "unfolded", {})


def describe_heard(result: Result, iteration: int) -> Finding:
    """Describe how many layers of a training model the monitor has recorded at this iteration."""
    layers, reached = result.depth, _count_gradients(result)
    where = "the only layer was" if layers == 1 else f"all {layers} layers were"
    if reached == layers:
        text = f"{where} recorded, forward and backward."
    elif reached == 0:
        text = f"{where} recorded, forward only: there was no gradient."
    else:
        text = f"{where} recorded; {reached} of them had a gradient."
    numbers = {"iteration": iteration, "layers": layers, "layers_with_gradient": reached}
    return build_finding("heard", f"After {count(iteration, 'update')} {text}", "activation", numbers)


def _count_gradients(result: Result) -> int:
    """Count the recorded layers that had a gradient, finite or not."""
    if "grad_rms" not in result.layers:
        return 0
    lost = [layer for layer, flag in result.status.get("grad_rms", {}).items() if flag != "unknown"]
    came = np.isfinite(result.layers["grad_rms"])
    came[lost] = True
    return int(came.sum())


def describe_peak(result: Result) -> Finding | None:
    """Describe after which layer of a recorded model activations are largest; None if none is known."""
    log10 = result.layers_log10["act_rms"]
    if not np.isfinite(log10).any():
        return None
    layer = int(np.nanargmax(np.where(np.isfinite(log10), log10, np.nan)))
    text = f"Activations are largest after layer {layer + 1}: {format_magnitude(float(log10[layer]))}."
    return build_finding("peak", text, "activation", {"layer": layer, "largest_log10": float(log10[layer])})


def build_captured_headline(result: Result) -> Headline:
    """Build the headline of a recording: the largest gain, or that the gain is unknown."""
    h_res = result.matrices["h_res"].astype(np.float64)
    if np.isnan(h_res).any():
        return Headline(label="gain", value=None, log10=None, text="gain unknown")
    return build_headline(result, is_fixed=_is_identity(h_res))


def _describe_unknown_gain(result: Result, lost: int) -> Finding:
    """Describe why the gain of a recorded model is unknown: in `lost` layers no mixing matrix explains the states."""
    where = "any layer" if lost == result.depth else f"{lost} of {count(result.depth, 'layer')}"
    if result.streams == 1:
        text = (
            f"The state does not pass {where} unchanged: something other than a sum is on its path, such as a norm or "
            "an activation, so no gain is known."
        )
    else:
        of = "In no layer is the mixing" if lost == result.depth else f"In {where} the mixing is not"
        text = f"{of} known: no single matrix explains the recorded states, so no gain is known."
    return build_finding("connection", text, "gain", {"layers_unknown": lost})


def _is_identity(h_res_Lnn: np.ndarray) -> bool:
    return bool((h_res_Lnn == np.eye(h_res_Lnn.shape[1])).all())
