"""What a run says, in words made from its numbers; each sentence names the panel it speaks of."""

from typing import Any

from mhc_core.findings.learning import tell_loss, tell_stop, tell_training
from mhc_core.findings.mixing import tell_captured, tell_connection, tell_frozen, tell_symmetry, tell_truncation
from mhc_core.findings.signals import tell_activation, tell_gradient, tell_jacobian, tell_limits, tell_zero
from mhc_core.findings.words import MOST_DECADES, find_largest, say, to_finite
from mhc_core.record.frames import Frame
from mhc_core.record.result import Result
from mhc_core.spec import RunSpec

__all__ = ["summarise", "summarise_captured"]


def summarise(spec: RunSpec, result: Result) -> Frame:
    """The summary frame: a headline, then findings, the run's own story first."""
    told = [
        tell_connection(spec, result),
        tell_stop(spec, result),
        tell_training(spec, result),
        tell_activation(result),
        tell_gradient(result),
        tell_truncation(spec, result),
        tell_symmetry(spec, result),
        tell_frozen(spec, result),
        tell_limits(spec.dtype, result),
        tell_zero(result),
        tell_jacobian(spec, result),
        tell_loss(spec, result),
    ]
    no_path = spec.connection.kind == "none"
    return Frame("summary", {"headline": _headline(result, no_path), "findings": [found for found in told if found]})


def summarise_captured(dtype: str, result: Result) -> Frame:
    """The summary frame of a pass captured from a model that no spec describes."""
    told = [
        tell_captured(result),
        tell_activation(result),
        tell_gradient(result),
        tell_limits(dtype, result),
        tell_zero(result),
    ]
    return Frame("summary", {"headline": _headline(result), "findings": [found for found in told if found]})


def _headline(result: Result, no_path: bool = False) -> dict[str, Any]:
    log10 = find_largest(result, "composite_gain_fwd")
    text = "no path" if no_path else f"gain {say(log10)}"
    return {
        "label": "gain",
        "value": to_finite(10**log10) if log10 < MOST_DECADES else None,
        "log10": to_finite(log10),
        "text": text,
    }
