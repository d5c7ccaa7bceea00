"""Findings on streams: a dominant stream, streams that no layer reads, mixing that is uniform or has not learned."""

import numpy as np

from mhc_core.findings.words import build_finding, count, format_loss, format_number, format_percent, is_dynamic
from mhc_core.metrics.mixing import composite, unscale
from mhc_core.metrics.shares import to_shares
from mhc_core.record.result import Result
from mhc_core.record.summary import Finding
from mhc_core.spec import RunSpec

IGNORED = 0.1  # a stream with less than this fraction of an equal share of the read weights is ignored
UNIFORM = 0.05  # largest relative difference of the product's entries from 1/n in a uniform product
LEFT = 0.01  # largest fraction of differences between streams that is kept in a uniform product
UNMOVED = 1e-3  # largest change of an entry of H_res in mixing that has not learned
FEW = 0.25  # fraction of the way from one stream to all, below which few streams are used
SAME = 0.05  # largest difference between layers, in effective streams, that is not mentioned
LEARNED = 0.01  # if the loss falls by less than this fraction, the stack itself has hardly learned


def describe_dominant_stream(result: Result) -> Finding | None:
    """Describe a dominant stream: its share of the squared size, at the last layer where it is known, is more than
    halfway between an equal share and all. None if there is none.
    """
    share = result.layers.get("act_share_max")
    if share is None or not np.isfinite(share).any():
        return None
    last, even = int(np.flatnonzero(np.isfinite(share))[-1]), 1 / result.streams
    if share[last] < (1 + even) / 2:
        return None
    stream = int(np.argmax(result.layers["act_rms_streams"][last]))
    text = (
        f"Stream {stream + 1} dominates: at layer {last + 1} it holds {format_percent(share[last])} of the squared "
        f"magnitude of all streams (even share: {format_percent(even)})."
    )
    return build_finding("dominant", text, "activation", {"share": float(share[last]), "stream": stream, "layer": last})


def describe_ignored_streams(result: Result) -> Finding | None:
    """Describe streams whose share of the read weights is small in all layers; None if there are none."""
    sizes_Ln = _find_read_sizes(result)
    if sizes_Ln is None or result.streams == 1:
        return None
    largest_n = to_shares(sizes_Ln).max(0)
    ignored, even = np.flatnonzero(largest_n < IGNORED / result.streams), 1 / result.streams
    if not len(ignored):
        return None
    most, named = float(largest_n[ignored].max()), _name_streams(ignored)
    if most == 0:
        text = f"No layer reads {named}."
    else:
        text = f"Layers hardly read {named}: at most {format_percent(most)} of any layer's read weights"
        text += ", in root mean square over tokens" if is_dynamic(result) else ""
        text += f" (even share: {format_percent(even)})."
    return build_finding("ignored", text, "mixing", {"share_largest": most, "ignored": len(ignored)})


def describe_uniform(result: Result) -> Finding | None:
    """Describe mixing whose product over all layers is nearly uniform, J/n, so that all streams become their mean; None
    if it is not.
    """
    kept = result.layers.get("composite_sigma2")
    if kept is None or not kept[-1] < LEFT:
        return None
    n, h_res = result.streams, result.matrices["h_res"].astype(np.float64)
    scaled, exponent = composite(h_res, 0, result.depth - 1)
    deviation = float(n * np.abs(unscale(scaled, np.asarray(exponent))[0] - 1 / n).max())
    if not deviation < UNIFORM:
        return None
    above = np.flatnonzero(~(kept < LEFT))
    first = int(above[-1]) + 1 if len(above) else 0
    means = ", averaged over tokens," if is_dynamic(result) else ""
    text = (
        f"Mixing becomes uniform: every entry of the product of all H_res{means} is within {format_percent(deviation)} "
        f"of 1/{n}, and from layer {first + 1} on, mixing alone keeps less than {format_percent(LEFT)} of any initial "
        "difference between streams."
    )
    return build_finding("uniform", text, "mixing", {"deviation": deviation, "layer": first, "kept": float(kept[-1])})


def describe_unused(result: Result) -> Finding | None:
    """Describe mixing that uses few streams in all layers; None if it uses more."""
    used, n = result.layers.get("kernel_rank"), result.streams
    if used is None or "kernel_shares" not in result.layers or not used.max() < 1 + FEW * (n - 1):
        return None
    most, layer = float(used.max()), int(np.argmax(used))
    place = "" if used.min() > most - SAME else f", largest at layer {layer + 1}"
    means = ", averaged over tokens," if is_dynamic(result) else ""
    text = (
        f"The mixing alone{means} uses at most {format_number(most)} of {n} streams to carry outputs to later layers "
        f"(effective number{place})."
    )
    return build_finding("unused", text, "gauge", {"used": most, "layer": layer if place else None, "streams": n})


def describe_unlearned(spec: RunSpec, result: Result) -> Finding | None:
    """Describe that H_res has hardly changed in training, although the loss fell; None otherwise."""
    start = result.kept.get("step_h_res")
    if start is None or spec.streams == 1 or spec.family.drawn == "nothing" or result.kept_steps[0] != 0:
        return None
    if not result.loss_untrained - result.loss >= LEARNED * abs(result.loss_untrained):
        return None
    moved = float(np.abs(result.matrices["h_res"].astype(np.float64) - start[0]).max())
    if not moved < UNMOVED:
        return None
    updates = int((np.isfinite(result.steps["step_loss"]) & np.isfinite(result.steps["step_grad_norm"])).sum())
    means = " (averaged over tokens)" if is_dynamic(result) else ""
    text = (
        f"Mixing has not learned: in {count(updates, 'step')} the loss falls from {format_loss(result.loss_untrained)} "
        f"to {format_loss(result.loss)}, but no entry of H_res{means} moves by more than {format_number(moved)}."
    )
    numbers = {"moved": moved, "loss_untrained": float(result.loss_untrained), "loss": float(result.loss)}
    return build_finding("unlearned", text, "mixing", numbers)


def describe_mapping(spec: RunSpec, result: Result) -> Finding | None:
    """Describe the error of sums of 1 with a map in bfloat16, compared with float32; None for other maps."""
    connection, single = spec.connection, result.layers.get("ds_error_float32")
    if single is None or connection.mapping_dtype != "bfloat16":
        return None
    errors = result.layers.get("ds_error_tokens", result.layers["ds_error"])
    # In signed mixing, the deviation can be a negative entry, or a sum that need not be 1.
    is_projected = not spec.family.signed and (not spec.family.iterates or connection.sinkhorn_iters)
    if not is_projected or not (np.isfinite(errors).all() and np.isfinite(single).all()):
        return None
    worst, least = float(errors.max()), float(single.max())
    text = (
        f"Computed in bfloat16, a row or column sum of H_res is off by {format_number(worst)} (float32: "
        f"{format_number(least)})."
    )
    return build_finding("mapping", text, "mixing", {"ds_error": worst, "ds_error_float32": least})


def _find_read_sizes(result: Result) -> np.ndarray | None:
    """Return the magnitude with which each layer reads each stream, (L, n); if mixing is dynamic, the root mean square
    over tokens. None without read weights.
    """
    for key in ("h_pre", "h_read"):
        if key in result.matrices:
            mean = result.matrices[key].astype(np.float64)
            size = np.hypot(mean, result.matrices.get(f"{key}_std", 0.0))
            return size if key == "h_pre" else size.sum(1)
    return None


def _name_streams(streams: np.ndarray) -> str:
    """Name streams as in "stream 2" or "streams 1, 3 and 4", counted from 1."""
    names = [str(stream + 1) for stream in streams]
    return f"stream {names[0]}" if len(names) == 1 else f"streams {', '.join(names[:-1])} and {names[-1]}"
