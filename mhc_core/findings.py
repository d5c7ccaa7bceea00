"""What a run says, in words made from its numbers; each sentence names the panel it speaks of."""

from typing import Any

import numpy as np

from mhc_core.frames import Frame
from mhc_core.result import Result
from mhc_core.spec import MANIFOLD, RunSpec

UNIFORM_LOSS = np.log(256.0)  # nats: a reader that knows nothing about the next byte
MOST_DECADES = 308  # of float64


def summarise(spec: RunSpec, result: Result) -> Frame:
    """The summary frame: a headline, then findings, the run's own story first."""
    told = [
        _tell_connection(spec, result),
        _tell_activation(result),
        _tell_gradient(result),
        _tell_truncation(spec, result),
        _tell_symmetry(spec, result),
        _tell_limits(spec, result),
        _tell_zero(result),
        _tell_loss(spec, result),
    ]
    return Frame("summary", {"headline": _headline(spec, result), "findings": [found for found in told if found]})


def _headline(spec: RunSpec, result: Result) -> dict[str, Any]:
    log10 = _largest(result, "composite_gain_fwd")
    text = "no path" if spec.connection.kind == "none" else f"gain {_number(log10)}"
    return {
        "label": "gain",
        "value": _finite(10**log10) if log10 < MOST_DECADES else None,
        "log10": _finite(log10),
        "text": text,
    }


def _tell_connection(spec: RunSpec, result: Result) -> dict[str, Any]:
    forward, backward = _largest(result, "composite_gain_fwd"), _largest(result, "composite_gain_bwd")
    gains = f"gain {_number(forward)} forward, {_number(backward)} backward"
    numbers = {"gain_fwd_log10": _finite(forward), "gain_bwd_log10": _finite(backward)}
    rounds = spec.connection.sinkhorn_iters
    if spec.connection.kind == "none":
        text = "Nothing passes the layers by: each rewrites the signal."
    elif spec.connection.kind == "residual":
        text = "One stream, passed on unchanged: nothing to mix, gain 1 at every depth."
        if spec.block.norm_position == "post":
            text = "One stream: nothing to mix, gain 1 at every depth; the norm after each addition rescales it."
    elif spec.connection.kind == "hc":
        text = f"{_count(spec.depth, 'free mixing matrix')}: {gains}."
    elif spec.connection.kind != "mhc":
        text = f"{_count(spec.depth, 'matrix')}, doubly stochastic by construction: {gains}."
    elif rounds == 0:
        text = f"exp() without Sinkhorn, {_count(spec.depth, 'matrix')}: {gains}."
    else:
        numbers["min_col_sum"] = _finite(np.min(result.layers["composite_min_col_sum"]))
        text = f"{_count(spec.depth, 'matrix')} after {_count(rounds, 'Sinkhorn round')}: {gains}."
        if numbers["min_col_sum"] is not None:
            text = f"{text[:-1]}, least column sum {numbers['min_col_sum']:.3g}."
    if result.seeds and spec.streams > 1:
        text += _tell_seeds(result, numbers)
    return _finding("connection", text, "gain", numbers)


def _tell_seeds(result: Result, numbers: dict[str, Any]) -> str:
    """One more sentence, on the largest forward gain of every seed; its numbers and the backward gain's are added."""
    levels = {"p05": 5, "p50": 50, "p95": 95}
    for key, name in (("composite_gain_fwd", "gain_fwd_log10"), ("composite_gain_bwd", "gain_bwd_log10")):
        found = np.percentile(result.seeds["largest"][key], list(levels.values()))
        numbers |= {f"{name}_{level}": _finite(value) for level, value in zip(levels, found, strict=True)}
    low, median, high = (
        _number(float("nan") if (value := numbers[f"gain_fwd_log10_{level}"]) is None else value) for level in levels
    )
    seeds = result.seeds["seeds"]
    return f" Over {seeds} seeds the largest forward gain has median {median}, 5 to 95 %: {low} to {high}."


def _tell_activation(result: Result) -> dict[str, Any] | None:
    log = result.layers_log10["act_rms"]
    start, known = _finite(result.input.get("act_rms")), np.isfinite(log)
    if not start or not known.any():
        return None
    last = int(np.flatnonzero(known)[-1])
    slope = _power_of_depth(log[: last + 1])
    text = f"Activations go from {_number(np.log10(start))} to {_number(log[last])} over {_count(last + 1, 'layer')}"
    if slope is not None:
        text += ", about the square root of depth" if 0.4 < slope < 0.6 else f", about depth^{slope:.2g}"
    numbers = {"input_rms": start, "last_rms_log10": float(log[last]), "power_of_depth": slope}
    return _finding("activation", f"{text}.", "activation", numbers)


def _tell_gradient(result: Result) -> dict[str, Any] | None:
    log = result.layers_log10.get("grad_rms")
    if log is None or len(log) == 1 or not np.isfinite(log[[0, -1]]).all():
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
    rows, columns = (np.abs(result.layers[key] - 1).max(1) for key in ("h_res_row_sum", "h_res_col_sum"))
    if not np.nanmax(columns, initial=0.0) > 1e-5:
        return None
    worst = int(np.nanargmax(columns))
    error = float(columns[worst])
    rounds = _count(spec.connection.sinkhorn_iters, "Sinkhorn round")
    text = f"After {rounds} a column sum is off by {error:.2g} at layer {worst + 1}"
    if rows[worst] < 1e-2 * error:
        text += ": rows are exact, so the error sits in the backward gain"
    return _finding("truncation", f"{text}.", "mixing", {"ds_error": error, "layer": worst})


def _tell_symmetry(spec: RunSpec, result: Result) -> dict[str, Any] | None:
    """Streams start identical; uniform H_post and rows of H_res that sum to 1 keep them so (equations section 3)."""
    cosine = result.layers.get("stream_cos")
    if spec.connection.kind not in MANIFOLD or cosine is None or not np.all(cosine > 1 - 1e-5):
        return None
    uneven = np.ptp(result.matrices["h_post"], axis=1).max()
    rows = np.abs(result.layers["h_res_row_sum"] - 1).max()
    if max(uneven, rows) > 1e-6:
        return None
    text = (
        "All streams stay identical, so H_res gets no gradient and any doubly stochastic matrix would do: "
        "no signal by symmetry."
    )
    return _finding("symmetry", text, "mixing", {"stream_cos_min": float(cosine.min())})


def _tell_limits(spec: RunSpec, result: Result) -> dict[str, Any] | None:
    """Where values first left the range of their type, in the direction in which they travel."""
    activation, gradient = result.status.get("act_rms"), result.status.get("grad_rms")
    composite = result.status.get("composite_gain_fwd")
    if activation:
        layer, panel = min(activation), "activation"
        text = f"Numbers leave the range of {spec.dtype} at layer {layer + 1}; from there on activations have no value."
    elif gradient:
        layer, panel = max(gradient), "gradient"
        text = f"Gradients leave the range of {spec.dtype} at layer {layer + 1} on their way down."
    elif composite:
        layer, panel = min(composite), "gain"
        text = f"The composite gain leaves the range of float64 at layer {layer + 1}; its logarithm goes on."
    else:
        return None
    return _finding("limits", text, panel, {"layer": layer})


def _tell_zero(result: Result) -> dict[str, Any] | None:
    """Where a signal that came in is gone altogether: too small for its type, or multiplied by zero."""
    zero = np.flatnonzero(result.layers["act_rms"] == 0)
    if not len(zero) or result.input["act_rms"] == 0:
        return None
    text = f"Activations are zero from layer {zero[0] + 1} on."
    return _finding("zero", text, "activation", {"layer": int(zero[0])})


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
    """Largest log10 over depth; -inf where the column is zero throughout, nan where no layer has a value."""
    log = result.layers_log10[key]
    if np.isfinite(log).any():
        return float(np.nanmax(log))
    return float("nan") if key in result.status else float("-inf")


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


def _count(number: int, noun: str) -> str:
    if number == 1:
        return f"1 {noun}"
    return f"{number} {noun[:-1]}ces multiplied" if noun.endswith("matrix") else f"{number} {noun}s"


def _number(log10: float) -> str:
    """A magnitude as people write it, from its logarithm."""
    if np.isnan(log10):
        return "not a number"
    if log10 == -np.inf:
        return "0"
    if abs(log10) < 5:
        value = 10.0**log10
        if abs(value - 1) < 0.0995:
            return f"{value:.3f}" if abs(value - 1) > 5e-4 else "1.00"
        return f"{value:.3g}" if value < 1000 else f"{value:.0f}"
    exponent = int(np.floor(log10))
    return f"{10 ** (log10 - exponent):.1f}e{exponent}"
