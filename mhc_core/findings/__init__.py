"""What a run says, in words made from its numbers; each sentence names the panel it speaks of."""

from mhc_core.findings.learning import describe_loss, describe_stop, describe_training
from mhc_core.findings.mixing import (
    describe_captured,
    describe_connection,
    describe_frozen,
    describe_symmetry,
    describe_truncation,
)
from mhc_core.findings.signals import (
    describe_activation,
    describe_gradient,
    describe_jacobian,
    describe_limits,
    describe_zero,
)
from mhc_core.findings.streams import (
    describe_dominant_stream,
    describe_ignored_streams,
    describe_mapping,
    describe_uniform,
    describe_unlearned,
)
from mhc_core.findings.words import MAX_DECADES, find_largest, format_magnitude, to_finite
from mhc_core.record.frames import SummaryFrame
from mhc_core.record.result import Result
from mhc_core.record.summary import Headline
from mhc_core.spec import RunSpec

__all__ = ["summarise", "summarise_captured"]


def summarise(spec: RunSpec, result: Result) -> SummaryFrame:
    """The summary frame: a headline, then findings, the run's own story first."""
    told = [
        describe_connection(spec, result),
        describe_stop(spec, result),
        describe_training(spec, result),
        describe_activation(result),
        describe_gradient(result),
        describe_truncation(spec, result),
        describe_symmetry(spec, result),
        describe_frozen(spec, result),
        describe_limits(spec.dtype, result),
        describe_zero(result),
        describe_jacobian(spec, result),
        describe_loss(spec, result),
        describe_dominant_stream(result),
        describe_ignored_streams(result),
        describe_uniform(result),
        describe_unlearned(spec, result),
        describe_mapping(spec, result),
    ]
    no_path = spec.connection.kind == "none"
    return SummaryFrame(headline=_headline(result, no_path), findings=[found for found in told if found])


def summarise_captured(dtype: str, result: Result) -> SummaryFrame:
    """The summary frame of a pass captured from a model that no spec describes."""
    told = [
        describe_captured(result),
        describe_activation(result),
        describe_gradient(result),
        describe_limits(dtype, result),
        describe_zero(result),
        describe_dominant_stream(result),
        describe_ignored_streams(result),
        describe_uniform(result),
    ]
    return SummaryFrame(headline=_headline(result), findings=[found for found in told if found])


def _headline(result: Result, no_path: bool = False) -> Headline:
    log10 = find_largest(result, "composite_gain_fwd")
    text = "no path" if no_path else f"gain {format_magnitude(log10)}"
    return Headline(
        label="gain",
        value=to_finite(10**log10) if log10 < MAX_DECADES else None,
        log10=to_finite(log10),
        text=text,
    )
