"""Shapes of the answers, for the OpenAPI description and for whoever reads the code of a client."""

from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from app.services.runs import Submitted
from app.store.runs import Cost, Run
from app.store.snapshots import Snapshot
from mhc_core.cost.estimates import Estimate
from mhc_core.measure.verification import Check, Verdict, to_verdict

API = "/api/v1"
MAX_STATE, MAX_TITLE, MAX_NOTE, MAX_RUNS = 16_000, 200, 1_000, 8


class Links(BaseModel):
    """Where the rest of a run is."""

    self: str
    events: str
    result: str
    figures: str
    composite: str


def to_links(run_id: str) -> Links:
    """Addresses of a run."""
    base = f"{API}/runs/{run_id}"
    names = ("events", "result", "figures", "composite")
    return Links(self=base, **{name: f"{base}/{name}" for name in names})


class SubmittedBody(BaseModel):
    """Answer to a POST of a spec. `position` is the place in the queue, 1 for the next; `cost` as `/estimate` says."""

    id: str
    status: str
    position: int | None
    cost: Cost
    links: Links

    @classmethod
    def build(cls, submitted: Submitted) -> "SubmittedBody":
        """From what the service did."""
        return cls(
            id=submitted.run_id,
            status=submitted.status,
            position=submitted.position,
            cost=submitted.cost,
            links=to_links(submitted.run_id),
        )


class Timings(BaseModel):
    """When, and how long: `wait_s` in the queue, `run_s` computing."""

    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    wait_s: float | None
    run_s: float | None


class RunBody(BaseModel):
    """Everything known of a run but for its frames."""

    id: str
    status: str
    reason: str | None
    position: int | None
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
    def build(cls, run: Run, position: int | None) -> "RunBody":
        """From the stored row and the place in the queue."""
        kept = {name: getattr(run, name) for name in cls.model_fields.keys() & vars(run).keys()}
        spec = run.spec if run.source["kind"] == "spec" else None
        return cls(**kept, spec=spec, position=position or None, timings=_to_timings(run), links=to_links(run.id))


class CancelBody(BaseModel):
    """Answer to a DELETE: the status afterwards, and why a run goes on if it does."""

    id: str
    status: str
    watchers: int = Field(description="Other event streams open on the run; while there are any it goes on.")
    detail: str


class Magnitude(BaseModel):
    """A number and its log10; the number is null beyond float64, the log10 where the number is 0."""

    value: float | None
    log10: float | None


class CompositeBody(BaseModel):
    """The product of the mixing of layers first to last, H_last ... H_first."""

    run: str
    first: int
    last: int
    scale_log10: float = Field(description="Matrix and sums are times 10 to this; 0 unless they leave float64.")
    matrix: list[list[float | None]] = Field(description="Rows are outputs, columns inputs; null is not a number.")
    row_sums: list[float | None]
    col_sums: list[float | None]
    gain_fwd: Magnitude = Field(description="Largest |row sum| (Amax gain).")
    gain_bwd: Magnitude = Field(description="Largest |column sum|.")
    sigma2: Magnitude | None = Field(description="What differences between streams keep; null for one stream.")
    ds_error: Magnitude = Field(description="Deviation from doubly stochastic.")


class CheckBody(BaseModel):
    """One comparison, shown at the layer where it comes closest to failing. `scale` log10: the numbers are decades."""

    law: str = Field(description="A law of theory, or recomputation, sums or mean_law.")
    metric: str = Field(description="Key of the metric, or loss.")
    layer: int | None = Field(description="Counted from 0; null for what has no layer.")
    scale: Literal["linear", "log10"]
    expected: float | None
    measured: float | None
    tolerance: float | None = Field(description="Largest difference that holds.")
    verdict: Verdict
    statement: str
    source: str


class VerificationBody(BaseModel):
    """A run against its laws. `verdict` fails if one check does; null until the recomputation is done."""

    run: str
    status: str = Field(description="Of the recomputation: queued, running or done.")
    verdict: Verdict | None
    checks: list[CheckBody]

    @classmethod
    def build(cls, run_id: str, checks: Sequence[Check]) -> "VerificationBody":
        """From finished checks."""
        bodies = [CheckBody(**check.to_data()) for check in checks]
        return cls(run=run_id, status="done", verdict=to_verdict(checks), checks=bodies)


class EstimateBody(Estimate):
    """Predicted cost, and whether this server would take the spec."""

    id: str
    admitted: bool
    errors: list[dict[str, Any]] = Field(description="Why not: field, got, wanted.")


class SnapshotRequest(BaseModel):
    """A view to keep: finished runs, and the page's state as its URL hash says it."""

    model_config = ConfigDict(extra="forbid", strict=True)

    runs: list[str] = Field(min_length=1, max_length=MAX_RUNS)
    state: str = Field("", max_length=MAX_STATE)
    title: str = Field("", max_length=MAX_TITLE)
    note: str = Field("", max_length=MAX_NOTE)
    sweep: str | None = Field(
        None,
        max_length=40,
        description="The sweep behind the view's map, or a snapshot whose sweep is taken over. Its done runs are kept, "
        "what has not ended is stored as missing.",
    )


class StoredSweepBody(BaseModel):
    """A sweep as it was when the view was stored. `values` and `figure` take a metric, as those of a sweep do."""

    id: str
    counts: dict[str, int] = Field(description="How many runs were in which state; missing ones had not ended.")
    values: str
    figure: str


class SnapshotBody(BaseModel):
    """A stored view."""

    id: str
    url: str
    runs: list[str]
    state: str
    title: str
    note: str
    created_at: datetime
    sweep: StoredSweepBody | None

    @classmethod
    def build(cls, snapshot: Snapshot) -> "SnapshotBody":
        """From the stored row."""
        kept = {**vars(snapshot), "created_at": _to_time(snapshot.created_at), "sweep": None}
        if snapshot.sweep is not None:
            base = f"{API}/snapshots/{snapshot.id}/sweep"
            counts = Counter(snapshot.sweep["states"].values())
            links = {"values": f"{base}/values", "figure": f"{base}/figure"}
            kept["sweep"] = StoredSweepBody(id=snapshot.sweep["id"], counts=counts, **links)
        return cls(url=f"/s/{snapshot.id}", **kept)


def _to_timings(run: Run) -> Timings:
    started, finished = run.started_at, run.finished_at
    return Timings(
        created_at=_to_time(run.created_at),
        started_at=None if started is None else _to_time(started),
        finished_at=None if finished is None else _to_time(finished),
        wait_s=None if started is None else round(started - run.created_at, 6),
        run_s=None if started is None or finished is None else round(finished - started, 6),
    )


def _to_time(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
