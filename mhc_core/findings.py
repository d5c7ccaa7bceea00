"""What a run says, in words made from its numbers; each sentence names the panel it speaks of."""

from typing import Any

import numpy as np

from mhc_core.frames import Frame
from mhc_core.result import Result
from mhc_core.spec import MANIFOLD, RunSpec

# What is guessed, and the loss in nats of a reader that knows nothing about it.
GUESSES = {"text": ("a byte", np.log(256.0)), "digits": ("an image", np.log(10.0))}
MOST_DECADES = 308  # of float64
FROZEN = 0.05  # of what reaches the logits at the uniform matrix
SAME = np.log10(1.01)  # decades by which a gain has to change to be said to


def summarise(spec: RunSpec, result: Result) -> Frame:
    """The summary frame: a headline, then findings, the run's own story first."""
    told = [
        _tell_connection(spec, result),
        _tell_stop(spec, result),
        _tell_training(spec, result),
        _tell_activation(result),
        _tell_gradient(result),
        _tell_truncation(spec, result),
        _tell_symmetry(spec, result),
        _tell_frozen(spec, result),
        _tell_limits(spec.dtype, result),
        _tell_zero(result),
        _tell_jacobian(spec, result),
        _tell_loss(spec, result),
    ]
    no_path = spec.connection.kind == "none"
    return Frame("summary", {"headline": _headline(result, no_path), "findings": [found for found in told if found]})


def summarise_captured(dtype: str, result: Result) -> Frame:
    """The summary frame of a pass captured from a model that no spec describes."""
    told = [
        _tell_captured(result),
        _tell_activation(result),
        _tell_gradient(result),
        _tell_limits(dtype, result),
        _tell_zero(result),
    ]
    return Frame("summary", {"headline": _headline(result), "findings": [found for found in told if found]})


def _headline(result: Result, no_path: bool = False) -> dict[str, Any]:
    log10 = _largest(result, "composite_gain_fwd")
    text = "no path" if no_path else f"gain {_number(log10)}"
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
    elif spec.connection.kind in ("hc", "frac"):
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


def _tell_captured(result: Result) -> dict[str, Any]:
    """What is known of a foreign model's connection is its matrices alone."""
    if result.start["streams"] == 1:
        text = "One stream, passed on unchanged: nothing to mix, gain 1 at every depth."
        return _finding("connection", text, "gain", {})
    forward, backward = _largest(result, "composite_gain_fwd"), _largest(result, "composite_gain_bwd")
    rows, columns = (float(np.abs(result.layers[f"h_res_{side}_sum"] - 1).max()) for side in ("row", "col"))
    text = (
        f"{_count(result.start['layers'], 'mixing matrix')}: gain {_number(forward)} forward, "
        f"{_number(backward)} backward; row sums within {rows:.2g} of 1, column sums within {columns:.2g}."
    )
    numbers = {"gain_fwd_log10": _finite(forward), "gain_bwd_log10": _finite(backward)}
    return _finding("connection", text, "gain", {**numbers, "row_error": _finite(rows), "col_error": _finite(columns)})


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
    # The mean over tokens hides the worst of them.
    errors = result.layers.get("ds_error_tokens", columns)
    if not np.nanmax(errors, initial=0.0) > 1e-5:
        return None
    worst = int(np.nanargmax(errors))
    error = float(errors[worst])
    whose = "the worst token's column sum" if errors is not columns else "a column sum"
    text = f"After {_count(spec.connection.sinkhorn_iters, 'Sinkhorn round')} {whose} is off by {error:.2g}"
    text += f" at layer {worst + 1}"
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


def _tell_frozen(spec: RunSpec, result: Result) -> dict[str, Any] | None:
    """Saturated logits, where there is a gradient for them to follow; layers without one are left out."""
    share = result.layers.get("mixing_grad_share")
    if share is None or np.isnan(share).all():
        return None
    median, free = float(np.nanmedian(share)), 1 / spec.streams
    if median > FROZEN * free:
        return None
    text = (
        f"The logits of H_res are saturated: {median:.2g} of the gradient that it could follow reaches them in the "
        f"median over layers, against {free:.2g} at the uniform matrix. Gradient descent would hardly move them."
    )
    numbers = {"share_median": median, "share_uniform": free, "layers": int(np.isfinite(share).sum())}
    return _finding("frozen", text, "mixing", numbers)


def _tell_limits(dtype: str, result: Result) -> dict[str, Any] | None:
    """Where values first left the range of their type, in the direction in which they travel."""
    activation, gradient = result.status.get("act_rms"), result.status.get("grad_rms")
    composite = result.status.get("composite_gain_fwd")
    if activation:
        layer, panel = min(activation), "activation"
        text = f"Numbers leave the range of {dtype} at layer {layer + 1}; from there on activations have no value."
    elif gradient:
        layer, panel = max(gradient), "gradient"
        text = f"Gradients leave the range of {dtype} at layer {layer + 1} on their way down."
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


def _tell_jacobian(spec: RunSpec, result: Result) -> dict[str, Any] | None:
    """Singular values only where they have converged; the least Ritz value alone is no more than an upper bound."""
    if not result.jacobian:
        return None
    log10, known = result.jacobian["log10"], result.jacobian["converged"]
    most, least = (float(log10[f"jacobian_{end}"]) for end in ("sigma_max", "sigma_min"))
    after = f"{_count(result.jacobian['products'], 'pair')} of products"
    if result.jacobian["status"]:
        text = f"The Jacobian leaves the range of {spec.dtype}: it has no singular values."
    elif result.jacobian["values"]["jacobian_sigma_max"] == 0:
        text = "The Jacobian is zero: no change of the input reaches the output."
    elif not known["sigma_max"]:
        text = (
            f"After {after} the Jacobian's singular values have not converged: "
            f"it stretches at least {_number(most)} times somewhere."
        )
    elif known["sigma_min"]:
        text = f"The Jacobian stretches at most {_number(most)} and at least {_number(least)} times."
    else:
        text = (
            f"The Jacobian stretches at most {_number(most)} times; the least, below {_number(least)}, "
            f"has not converged after {after}."
        )
    return _finding("jacobian", text, "gradient", {"sigma_max_log10": _finite(most), "sigma_min_log10": _finite(least)})


def _tell_loss(spec: RunSpec, result: Result) -> dict[str, Any] | None:
    if spec.input.kind not in GUESSES:
        return None
    what, evenly = GUESSES[spec.input.kind]
    numbers = {"loss": _finite(result.loss)}
    if result.steps:
        numbers["loss_untrained"] = _finite(result.loss_untrained)
        steps = _count(_count_updates(result), "step")
        before, after = (_loss(value, what) for value in (result.loss_untrained, result.loss))
        text = f"Loss {before} before training, {after} after {steps}"
    elif numbers["loss"] is None:
        return _finding("loss", "The loss is not a finite number.", "activation", numbers)
    else:
        text = f"Loss {_loss(result.loss, what)} before training"
    return _finding("loss", f"{text}; guessing evenly costs {evenly:.3f}.", "activation", numbers)


def _tell_stop(spec: RunSpec, result: Result) -> dict[str, Any] | None:
    """Where training ended early, and on what."""
    done = _count_updates(result)
    if done == spec.train.steps:
        return None
    loss = result.steps_status.get("step_loss", {}).get(done)
    what, flag = ("loss", loss) if loss else ("gradient", result.steps_status["step_grad_norm"][done])
    text = f"Training stopped at step {done + 1}: the {what} is {'infinite' if flag == 'overflow' else 'not a number'}."
    return _finding("stop", text, "gradient", {"updates": done})


def _tell_training(spec: RunSpec, result: Result) -> dict[str, Any] | None:
    """What training did to the largest composite gain: as initialised, on the way, and of the trained stack."""
    done = _count_updates(result)
    if not done or spec.streams == 1:
        return None
    log = result.steps_log10["step_gain_fwd"][:done]
    largest = np.where(np.isfinite(log), log, -np.inf).max(1)
    first, last, peak = float(largest[0]), _largest(result, "composite_gain_fwd"), int(np.argmax(largest))
    change = last - first
    steps = _count(done, "step")
    text = f"Through {steps} of training the largest composite gain stays at {_number(last)}"
    if not abs(change) < SAME:
        way = "grows" if change > 0 else "falls"
        text = f"Through {steps} of training the largest composite gain {way} from {_number(first)} to {_number(last)}"
    if largest[peak] > max(first, last) + SAME:
        text += f", with {_number(largest[peak])} at step {peak + 1}"
    numbers = {
        "gain_fwd_log10_untrained": _finite(first),
        "gain_fwd_log10": _finite(last),
        "gain_fwd_log10_largest": _finite(max(largest[peak], last)),
    }
    return _finding("training", f"{text}.", "gain", numbers)


def _count_updates(result: Result) -> int:
    """Steps that ended in an update: those with a finite loss and gradient."""
    if not result.steps:
        return 0
    return int((np.isfinite(result.steps["step_loss"]) & np.isfinite(result.steps["step_grad_norm"])).sum())


def _loss(value: float, what: str) -> str:
    return f"{value:.3f} nats {what}" if np.isfinite(value) else "not a finite number"


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
