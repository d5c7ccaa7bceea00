"""Define bodies of runs."""

from datetime import datetime
from typing import Any

from pydantic import BaseModel, Field

from mhc_core.record.source import SpecSource
from mhc_scope.api.models.fields import to_time
from mhc_scope.api.models.links import Links, to_links
from mhc_scope.services.runs import Submission
from mhc_scope.store.runs import Cost, StoredRun


class SubmittedBody(BaseModel):
    """Answer a POST of a spec. `position` is the place in the queue, 1 for the next; `cost` as in `/estimate`."""

    id: str
    status: str
    position: int | None
    cost: Cost
    links: Links

    @classmethod
    def build(cls, submitted: Submission) -> "SubmittedBody":
        """Build the JSON body that answers the request for a run."""
        return cls(
            id=submitted.run_id,
            status=submitted.status,
            position=submitted.position,
            cost=submitted.cost,
            links=to_links(submitted.run_id),
        )


class Timings(BaseModel):
    """Report the times of a run: `wait_s` in the queue, `run_s` computing."""

    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    wait_s: float | None
    run_s: float | None


class RunBody(BaseModel):
    """Return everything stored about a run except its frames."""

    id: str
    status: str
    reason: str | None
    position: int | None
    wait: str | None = Field(description="Why a queued run has not begun, in one sentence; null for any other run.")
    spec: dict[str, Any] | None = Field(description="Null where the record is a trace.")
    cost: Cost
    timings: Timings
    device: dict[str, Any] | None
    versions: dict[str, Any] | None
    summary: dict[str, Any] | None
    frames: int
    pinned: bool
    links: Links

    @classmethod
    def build(cls, run: StoredRun, position: int | None, wait: str | None) -> "RunBody":
        """Build the response about a run from the stored row, the place in the queue and why the run waits."""
        kept = {name: getattr(run, name) for name in cls.model_fields.keys() & vars(run).keys()}
        spec = run.source.spec if isinstance(run.source, SpecSource) else None
        return cls(
            **kept, spec=spec, position=position or None, wait=wait, timings=_to_timings(run), links=to_links(run.id)
        )


class CancelBody(BaseModel):
    """Answer a DELETE: the new status, and why a run continues if it does."""

    id: str
    status: str
    watchers: int = Field(description="Other event streams open on the run; while there are any it continues.")
    detail: str


def _to_timings(run: StoredRun) -> Timings:
    """Return when a run was queued, started and finished, and how long it took."""
    started, finished = run.started_at, run.finished_at
    return Timings(
        created_at=to_time(run.created_at),
        started_at=None if started is None else to_time(started),
        finished_at=None if finished is None else to_time(finished),
        wait_s=None if started is None else round(started - run.created_at, 6),
        run_s=None if started is None or finished is None else round(finished - started, 6),
    )
