"""What a run says, in words made from its numbers; each sentence names the panel it speaks of."""

from typing import Any

import numpy as np

from mhc_core.frames import Frame
from mhc_core.result import Result
from mhc_core.spec import RunSpec

UNIFORM_LOSS = np.log(256.0)  # nats: a reader that knows nothing about the next byte


def summarise(spec: RunSpec, result: Result) -> Frame:
    """The summary frame: a headline, then findings, the run's own story first."""
    forward = _largest(result, "composite_gain_fwd")
    headline = {
        "label": "gain",
        "value": _finite(10**forward) if forward < 308 else None,
        "log10": _finite(forward),
        "text": f"gain {_number(forward)}" if spec.connection.kind != "none" else "no path",
    }
    findings = [_tell_connection(spec, result), _tell_activation(spec, result), _tell_gradient(result)]
    findings += [
        _tell_truncation(spec, result),
        _tell_symmetry(spec, result),
        _tell_limits(result),
        _tell_loss(spec, result),
    ]
    return Frame("summary", {"headline": headline, "findings": [found for found in findings if found]})


def _tell_connection(spec: RunSpec, result: Result) -> dict[str, Any]:
    kind, depth = spec.connection.kind, spec.depth
    forward, backward = _largest(result, "composite_gain_fwd"), _largest(result, "composite_gain_bwd")
    numbers = {"gain_fwd_log10": _finite(forward), "gain_bwd_log10": _finite(backward)}
    if kind == "none":
        text = "Nothing passes the layers by: each rewrites the signal."
    elif kind == "residual":
        text = "One stream, passed on unchanged: nothing to mix, gain 1 at every depth."
    elif kind == "hc":
        text = f"{depth} free mixing matrices multiply: gain {_number(forward)} forward, {_number(backward)} backward."
    else:
        least = float(np.nanmin(result.layers["composite_min_col_sum"]))
        numbers["min_col_sum"] = _finite(least)
        text = (
            f"The same drift, kept near doubly stochastic: gain {_number(forward)} forward, {_number(backward)} backward, "
            f"least column sum {least:.3g}."
        )
        if spec.connection.sinkhorn_iters == 0:
            text = f"exp() without Sinkhorn, {depth} times over: gain {_number(forward)} forward, {_number(backward)} backward."
    return _finding("connection", text, "gain", numbers)


def _tell_activation(spec: RunSpec, result: Result) -> dict[str, Any] | None:
    log = result.layers_log10["act_rms"]
    start, known = _finite(result.input.get("act_rms")), np.isfinite(log)
    if not start or not known.any():
        return None
    last = int(np.flatnonzero(known)[-1])
    slope = _power_of_depth(log[: last + 1])
    text = f"Activations go from {_number(np.log10(start))} to {_number(log[last])} over {last + 1} layers"
    if slope is not None:
        text += ", about the square root of depth" if 0.4 < slope < 0.6 else f", about depth^{slope:.2g}"
    numbers = {"input_rms": start, "last_rms_log10": float(log[last]), "power_of_depth": slope}
    return _finding("activation", f"{text}.", "activation", numbers)


def _tell_gradient(result: Result) -> dict[str, Any] | None:
    log = result.layers_log10.get("grad_rms")
    if log is None or not np.isfinite(log[[0, -1]]).all():
        return None
    decades = float(log[0] - log[-1])
    if abs(decades) < np.log10(1.05):
        text = "The gradient reaches the first layer as large as it left the last."
    else:
        change = "grows" if decades > 0 else "shrinks"
        text = f"From the last layer down to the first, the gradient {change} {_number(abs(decades))} times."
    return _finding("gradient", text, "gradient", {"first_to_last_log10": decades})


def _tell_truncation(spec: RunSpec, result: Result) -> dict[str, Any] | None:
    if spec.connection.kind != "mhc" or spec.connection.sinkhorn_iters == 0 or spec.streams == 1:
        return None
    error = result.layers["ds_error"]
    worst = int(np.nanargmax(error)) if np.isfinite(error).any() else 0
    if not error[worst] > 1e-5:
        return None
    text = (
        f"{spec.connection.sinkhorn_iters} Sinkhorn rounds leave a column sum off by {error[worst]:.2g} at layer {worst + 1}: "
        "rows are exact, so the error sits in the backward gain."
    )
    return _finding("truncation", text, "mixing", {"ds_error": float(error[worst]), "layer": worst})


def _tell_symmetry(spec: RunSpec, result: Result) -> dict[str, Any] | None:
    cosine = result.layers.get("stream_cos")
    if spec.connection.kind != "mhc" or cosine is None or not np.all(cosine > 1 - 1e-5):
        return None
    text = (
        "All streams stay identical, so H_res gets no gradient and any doubly stochastic matrix would do: "
        "no signal by symmetry."
    )
    return _finding("symmetry", text, "mixing", {"stream_cos_min": float(cosine.min())})


def _tell_limits(result: Result) -> dict[str, Any] | None:
    """Where the first value left the range of its type."""
    first = [(min(layers), key, layers[min(layers)]) for key, layers in result.status.items() if layers]
    if not first:
        return None
    layer, key, flag = min(first)
    text = f"Numbers leave the range of their type from layer {layer + 1} on ({key}: {flag})."
    panel = "gain" if key.startswith("composite") else "gradient" if "grad" in key else "activation"
    return _finding("limits", text, panel, {"layer": layer, "metric": key, "status": flag})


def _tell_loss(spec: RunSpec, result: Result) -> dict[str, Any] | None:
    if spec.input.kind != "text":
        return None
    if not np.isfinite(result.loss):
        return _finding("loss", "The loss is not a finite number.", "activation", {"loss": None})
    text = f"Loss {result.loss:.3f} nats a byte before training; guessing evenly costs {UNIFORM_LOSS:.3f}."
    return _finding("loss", text, "activation", {"loss": result.loss})


def _finding(key: str, text: str, panel: str, numbers: dict[str, Any]) -> dict[str, Any]:
    return {"key": key, "text": text, "panel": panel, "numbers": numbers}


def _largest(result: Result, key: str) -> float:
    """Largest log10 over depth; -inf where the column is zero throughout."""
    log = result.layers_log10[key]
    return float(np.nanmax(log)) if np.isfinite(log).any() else float("-inf")


def _power_of_depth(log10: np.ndarray) -> float | None:
    """Exponent p of a fit rms = c * (1 + layer)^p, or None where a power law does not describe the curve."""
    if len(log10) < 8 or not np.isfinite(log10).all():
        return None
    depth = np.log10(1 + np.arange(1, len(log10) + 1))
    slope, offset = np.polyfit(depth, log10, 1)
    miss = np.abs(log10 - (slope * depth + offset)).max()
    return float(slope) if miss < 0.1 and slope > 0.1 else None


def _finite(value: Any) -> float | None:
    return float(value) if value is not None and np.isfinite(value) else None


def _number(log10: float) -> str:
    """A magnitude as people write it, from its logarithm."""
    if not np.isfinite(log10):
        return "0"
    if abs(log10) < 5:
        value = 10.0**log10
        if abs(value - 1) < 0.0995:
            return f"{value:.3f}" if abs(value - 1) > 5e-4 else "1.00"
        return f"{value:.3g}" if value < 1000 else f"{value:.0f}"
    exponent = int(np.floor(log10))
    return f"{10 ** (log10 - exponent):.1f}e{exponent}"
