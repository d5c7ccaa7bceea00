"""Findings: sentences about a run, made from its numbers. Each names the panel that shows it."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from mhc_core.findings.captured import build_captured_headline, describe_captured, describe_reading
from mhc_core.findings.depth import (
    build_depth_headline,
    describe_captured_depth,
    describe_depth,
    describe_gated_reads,
)
from mhc_core.findings.edits import describe_effect
from mhc_core.findings.gains import build_headline
from mhc_core.findings.learning import describe_loss, describe_stop, describe_training
from mhc_core.findings.mixing import (
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
    describe_resolution,
    describe_zero,
)
from mhc_core.findings.streams import (
    describe_dominant_stream,
    describe_ignored_streams,
    describe_mapping,
    describe_uniform,
    describe_unlearned,
    describe_unused,
)
from mhc_core.record.frames import SummaryFrame
from mhc_core.record.result import Result
from mhc_core.record.summary import Finding
from mhc_core.spec import EditSpec, RunSpec
from mhc_core.theory.premises import has_unit_sums

__all__ = ["summarise", "summarise_captured"]


def summarise(spec: RunSpec, result: Result, disturbed_L: np.ndarray | None = None) -> SummaryFrame:
    """Build the summary frame of a run: a headline, and findings, those on edits, connection and training first.

    disturbed_L: log10 of grad_rms of the same pass with states that are changed by rounding; None (default) if it was
        not measured.
    """
    unresolved = None if disturbed_L is None else describe_resolution(spec.dtype, result, disturbed_L)
    findings = [
        _of_first_seed(spec, describe_effect(spec.edits, spec.dtype, result)),
        _describe_connection(spec, result),
        describe_stop(spec, result),
        describe_training(spec, result),
        describe_activation(result),
        # If the gradient is mostly rounding error, its growth has no meaning.
        _of_first_seed(spec, unresolved) or describe_gradient(result),
    ]
    of_one_pass = [
        describe_truncation(spec, result),
        describe_symmetry(spec, result),
        describe_frozen(spec, result),
        describe_limits(spec.dtype, result),
        describe_zero(result),
        describe_jacobian(spec, result),
        describe_loss(spec, result),
        *_compare_streams(spec, result),
        describe_uniform(result),
        describe_unlearned(spec, result),
        describe_mapping(spec, result),
        describe_unused(result),
    ]
    findings += [_of_first_seed(spec, found) for found in of_one_pass]
    if spec.family.has_mixing:
        headline = build_headline(result, has_path=spec.family.skips, is_fixed=has_unit_sums(spec))
    else:
        headline = build_depth_headline(result, "" if spec.seeds == 1 else f" (seed {spec.seed})")
    return SummaryFrame(headline=headline, findings=[found for found in findings if found])


def summarise_captured(
    dtype: str, result: Result, notes: Sequence[Finding | None] = (), edits: Sequence[EditSpec] = ()
) -> SummaryFrame:
    """Build the summary frame of a pass recorded from someone's own model.

    notes: further findings that do not follow from the columns; None entries are ignored. edits: those of the pass.
    """
    reads_outputs = "h_res" not in result.matrices and "unfolded" in result.matrices
    findings = [
        describe_effect(edits, dtype, result),
        describe_captured_depth(result) if reads_outputs else describe_captured(result),
        describe_gated_reads(result) if reads_outputs else describe_reading(result),
        *notes,
        describe_activation(result),
        describe_gradient(result),
        describe_limits(dtype, result),
        describe_zero(result),
        describe_dominant_stream(result),
        describe_ignored_streams(result),
        describe_uniform(result),
        describe_unused(result),
    ]
    headline = build_depth_headline(result) if reads_outputs else build_captured_headline(result)
    return SummaryFrame(headline=headline, findings=[found for found in findings if found])


def _describe_connection(spec: RunSpec, result: Result) -> Finding | None:
    """Describe the effect of the connection on signals: by its mixing, or by its reads over depth."""
    if spec.family.has_mixing:
        return describe_connection(spec, result)
    return _of_first_seed(spec, describe_depth(spec, result))


def _compare_streams(spec: RunSpec, result: Result) -> list[Finding | None]:
    """List the findings on a dominant stream and on streams that no layer reads; [] if a stream is the embedding."""
    if spec.family.streams == "source":
        return []
    return [describe_dominant_stream(result), describe_ignored_streams(result)]


def _of_first_seed(spec: RunSpec, found: Finding | None) -> Finding | None:
    """Return a finding about the first seed; if the run has several seeds, its text begins with the seed."""
    if found is None or spec.seeds == 1:
        return found
    return replace(found, text=f"Seed {spec.seed}: {found.text}")
