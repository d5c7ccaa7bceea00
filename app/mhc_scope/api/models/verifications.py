"""Define bodies of a verification."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Literal

from pydantic import BaseModel, Field

from mhc_core.checks.check import Verdict, summarise_checks, to_verdict
from mhc_core.checks.verification import RecordCheck


class CheckBody(BaseModel):
    """One comparison, shown at the layer where it comes closest to failing. `scale` log10: the numbers are decades."""

    law: str = Field(description="A law of theory, recomputation, or an exact relation such as sums or causality.")
    metric: str = Field(description="Key of the metric, or loss, or weights.")
    layer: int | None = Field(description="Counted from 0; null for what has no layer.")
    scale: Literal["linear", "log10"]
    expected: float | None
    measured: float | None
    tolerance: float | None = Field(description="Largest difference that holds.")
    verdict: Verdict
    statement: str
    source: str
    detects: str = Field(description="What makes the check fail, and what it cannot see.")


class VerificationBody(BaseModel):
    """A run against its laws. `verdict` fails if one check does; null until the recomputation is done."""

    run: str
    status: str = Field(description="Of the recomputation: queued, running or done.")
    verdict: Verdict | None
    summary: str = Field(description="How many checks failed, and which; empty until the recomputation is done.")
    checks: list[CheckBody]

    @classmethod
    def build(cls, run_id: str, checks: Sequence[RecordCheck]) -> "VerificationBody":
        """Build the response about a verification from its finished checks."""
        bodies = [CheckBody(law=check.name, **asdict(check)) for check in checks]
        return cls(
            run=run_id, status="done", verdict=to_verdict(checks), summary=summarise_checks(checks), checks=bodies
        )
