"""Findings on signals: their growth with depth, where they leave the range of their type, and the Jacobian."""

import numpy as np

from mhc_core.findings.words import (
    build_finding,
    count,
    format_magnitude,
    name_median,
    read_logs,
    read_ranks,
    to_finite,
)
from mhc_core.record.result import Result
from mhc_core.record.summary import Finding
from mhc_core.spec import RunSpec

ALIKE = float(np.log10(1.05))  # in decades; smaller changes are called "less than 5 %"
# Number of roundings by which states are disturbed when a gradient is measured a second time, in place of all roundings
# in a layer. Of 56 float32 gradients that differ from float64 by 5 %, 1 rounding misses 2, and 30 miss none.
ROUNDINGS = {"float32": 30, "float64": 30, "bfloat16": 5}


def describe_activation(result: Result) -> Finding | None:
    """Describe how much activations grow or shrink with depth, and the exponent if they follow a power of depth."""
    log = read_logs(result, "act_rms")
    start, known = to_finite(result.input.get("act_rms")), np.isfinite(log)
    if not start or not known.any():
        return None
    last = int(np.flatnonzero(known)[-1])
    slope = _power_of_depth(log[: last + 1])
    before, after, over = np.log10(start), float(log[last]), count(last + 1, "layer")
    if result.seeds:
        text = f"Activations reach {format_magnitude(after)} after {over}{name_median(result)}"
    elif abs(after - before) < ALIKE:
        sizes = f"{format_magnitude(before)} before, {format_magnitude(after)} after {over}"
        text = f"Activations change by less than 5 %: {sizes}"
    else:
        verb = "grow" if after > before else "shrink"
        text = (
            f"Activations {verb} from {format_magnitude(before)} at the input to {format_magnitude(after)} over {over}"
        )
    if slope is not None and (result.seeds or after - before >= ALIKE):
        text += ", like √depth" if 0.4 < slope < 0.6 else f", like depth to the power {slope:.2g}"
    numbers = {"input_rms": start, "last_rms_log10": float(log[last]), "power_of_depth": slope}
    return build_finding("activation", f"{text}.", "activation", numbers)


def describe_gradient(result: Result) -> Finding | None:
    """Describe the ratio of the gradients at the first and last layer; for several seeds, the median of the ratios."""
    if "grad_rms" not in result.layers_log10 or result.depth == 1:
        return None
    growth_k = _read_gradient_growth(result)
    known_k = growth_k[growth_k < np.inf]
    if not len(known_k):
        return None
    decades, median = float(np.median(known_k)), name_median(result, len(known_k))
    if decades == -np.inf:
        text = f"The gradient is zero at the first layer{median}."
    elif abs(decades) < ALIKE:
        text = f"The gradient at the first layer is within 5 % of that at the last{median}."
    else:
        size = "larger" if decades > 0 else "smaller"
        times = f"{format_magnitude(abs(decades))} times {size}"
        text = f"The gradient is {times} at the first layer than at the last{median}."
    return build_finding("gradient", text, "gradient", {"first_to_last_log10": to_finite(decades)})


def _read_gradient_growth(result: Result) -> np.ndarray:
    """Return log10 of the ratio of the gradients at the first and last layer, one per seed; nan if it is not known."""
    if result.seeds is not None and result.seeds.gradient_growth is not None:
        return result.seeds.gradient_growth
    first, last = read_ranks(result, "grad_rms")[[0, -1]]
    return np.array([first - last if np.isfinite(last) else np.nan])


def describe_resolution(dtype: str, result: Result, disturbed_L: np.ndarray) -> Finding | None:
    """Write the finding that says in how many layers rounding errors of states change the gradient by 5 % or more.

    None if they change it in no layer. disturbed_L: log10 of grad_rms of a second pass, in which states are changed by
    `ROUNDINGS` roundings.
    """
    changed = np.abs(disturbed_L - result.layers_log10["grad_rms"])
    layers = int((changed > ALIKE).sum())
    if not layers:
        return None
    most = float(np.nanmax(changed))
    text = (
        f"{dtype} does not resolve the gradient at {layers} of {count(result.depth, 'layer')}: changing every state by "
        f"{ROUNDINGS[dtype]} rounding errors changes it by 5 % or more, at most by a factor of "
        f"{format_magnitude(most)}."
    )
    return build_finding("resolution", text, "gradient", {"layers": layers, "changed_log10": most})


def describe_limits(dtype: str, result: Result) -> Finding | None:
    """Describe where values first leave the range of their type, in the direction of the pass; None if they do not.

    Only the most important case is described: overflow before underflow, and composite gains last.
    """
    activation, gradient = (_find_flagged(result, key, "overflow", "nan") for key in ("act_rms", "grad_rms"))
    small, small_gradient = (_find_flagged(result, key, "underflow") for key in ("act_rms", "grad_rms"))
    composite = _find_flagged(result, "composite_gain_fwd", "overflow", "underflow")
    if activation:
        layer, panel = min(activation), "activation"
        text = f"Activations leave the range of {dtype} at layer {layer + 1}"
        stays = len(activation) == result.depth - layer
        text += " and have no value from there on." if stays else "."
    elif gradient:
        layer, panel = max(gradient), "gradient"
        text = f"Gradients leave the range of {dtype} at layer {layer + 1}, counting down from the last."
    elif small:
        layer, panel = min(small), "activation"
        text = f"Activations fall below the range of {dtype} at layer {layer + 1}."
    elif small_gradient:
        layer, panel = max(small_gradient), "gradient"
        text = f"Gradients fall below the range of {dtype} at layer {layer + 1}, counting down from the last."
    elif composite:
        layer, panel = min(composite), "gain"
        text = f"The composite gain leaves the range of float64 at layer {layer + 1}; its logarithm is still known."
    else:
        return None
    return build_finding("limits", text, panel, {"layer": layer})


def _find_flagged(result: Result, key: str, *flags: str) -> list[int]:
    """Return the layers in which a metric has one of these statuses, such as `overflow`."""
    return [layer for layer, flag in result.status.get(key, {}).items() if flag in flags]


def describe_zero(result: Result) -> Finding | None:
    """Describe from which layer on activations are zero (too small for their type, or multiplied by 0), although the
    input is not; None if the last ones are not zero.
    """
    is_zero = result.layers["act_rms"] == 0
    if not is_zero[-1] or result.input["act_rms"] == 0:
        return None
    others = np.flatnonzero(~is_zero)
    first = int(others[-1]) + 1 if len(others) else 0
    text = f"Activations are zero from layer {first + 1} on."
    return build_finding("zero", text, "activation", {"layer": first})


def describe_jacobian(spec: RunSpec, result: Result) -> Finding | None:
    """Describe the singular values of the Jacobian that have converged; None if they were not requested.

    A value that has not converged is described as a bound: the least Ritz value is an upper bound.
    """
    found = result.jacobian
    if found is None:
        return None
    most, least = (float(np.asarray(found.log10[f"jacobian_{end}"], np.float64)) for end in ("sigma_max", "sigma_min"))
    after = f"{count(found.products, 'pair')} of products"
    if found.status:
        text = f"The Jacobian leaves the range of {spec.dtype}, so it has no singular values."
    elif found.values["jacobian_sigma_max"] == 0:
        text = "The Jacobian is zero: no change of the input reaches the output."
    elif not found.converged.sigma_max:
        text = (
            f"The Jacobian's singular values have not converged after {after}: "
            f"the largest is at least {format_magnitude(most)}."
        )
    elif found.values["jacobian_sigma_min"] == 0:  # the least Ritz value is never below the least singular value
        text = f"The Jacobian's largest singular value is {format_magnitude(most)}, its smallest is zero."
    elif found.converged.sigma_min:
        text = f"The Jacobian's singular values range from {format_magnitude(least)} to {format_magnitude(most)}."
    else:
        text = (
            f"The Jacobian's largest singular value is {format_magnitude(most)}; "
            f"the smallest, below {format_magnitude(least)}, has not converged after {after}."
        )
    return build_finding(
        "jacobian", text, "gradient", {"sigma_max_log10": to_finite(most), "sigma_min_log10": to_finite(least)}
    )


def _power_of_depth(log10: np.ndarray) -> float | None:
    """Return the exponent p of a fit rms = c * (1 + layer)^p; None if a power law does not describe the curve."""
    if len(log10) < 8 or not np.isfinite(log10).all():
        return None
    depth = np.log10(1 + np.arange(1, len(log10) + 1))
    slope, offset = np.polyfit(depth, log10, 1)
    miss = np.abs(log10 - (slope * depth + offset)).max()
    return float(slope) if miss < 0.1 and slope > 0.1 else None
