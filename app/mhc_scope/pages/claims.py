"""Write a sentence on the gains of a view's runs, from stored summaries: "HC ×790, mHC ×1.00, same 64 layers"."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from mhc_core.findings.numerals import format_gain
from mhc_core.record.source import SpecSource
from mhc_core.spec import FAMILIES
from mhc_scope.store.runs import StoredRun

Direction = Literal["fwd", "bwd"]
DIRECTIONS: tuple[Direction, Direction] = ("fwd", "bwd")


def to_gain_text(summary: Mapping[str, Any] | None, direction: Direction = "fwd") -> str | None:
    """Format the largest gain of a run over its layers, such as "×790" or "×8.2×10³⁶⁷"; None if it is unknown."""
    findings = [] if summary is None else summary["findings"]
    numbers: dict[str, float | None]
    numbers = next((finding["numbers"] for finding in findings if finding["key"] == "connection"), {})
    log10 = numbers.get(f"gain_{direction}_log10")
    return None if log10 is None else format_gain(log10)


def build_claim(labels: Sequence[str], runs: Sequence[StoredRun]) -> str | None:
    """Return a sentence with the gains of the runs that mix streams; None if no gain is known."""
    gains = [
        f"{label} {gain}"
        for label, run in zip(labels, runs, strict=True)
        if _has_streams(run) and (gain := to_gain_text(run.summary)) is not None
    ]
    if not gains:
        return None
    depths = {run.source.spec["depth"] for run in runs if isinstance(run.source, SpecSource)}
    if len(depths) != 1:
        return ", ".join(gains)
    (depth,) = depths
    layers = "1 layer" if depth == 1 else f"{depth} layers"
    return f"{', '.join(gains)}, {'same ' if len(runs) > 1 else ''}{layers}"


def _has_streams(run: StoredRun) -> bool:
    """Return whether a run may mix streams, so that its gain is not 1 by design. True for a recording."""
    return not isinstance(run.source, SpecSource) or FAMILIES[run.spec["connection"]["kind"]].has_streams
