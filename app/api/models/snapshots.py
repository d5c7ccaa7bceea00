"""Bodies of snapshots."""

from collections import Counter
from datetime import datetime

from pydantic import BaseModel, ConfigDict, Field

from app.api.models.links import API, to_address
from app.api.models.times import to_time
from app.store.snapshots import Snapshot

MAX_STATE, MAX_TITLE, MAX_NOTE, MAX_RUNS = 16_000, 200, 1_000, 8


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
        kept = {**vars(snapshot), "created_at": to_time(snapshot.created_at), "sweep": None}
        if snapshot.sweep is not None:
            base = to_address(f"{API}/snapshots/{snapshot.id}/sweep")
            counts = Counter(snapshot.sweep["states"].values())
            links = {"values": f"{base}/values", "figure": f"{base}/figure"}
            kept["sweep"] = StoredSweepBody(id=snapshot.sweep["id"], counts=counts, **links)
        return cls(url=to_address(f"/s/{snapshot.id}"), **kept)
