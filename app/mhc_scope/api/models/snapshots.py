"""Define bodies of snapshots."""

from collections import Counter
from datetime import datetime

from pydantic import BaseModel, ConfigDict, Field

from mhc_scope.api.models.fields import NO_NUL, to_time
from mhc_scope.api.models.links import API, to_address
from mhc_scope.store.snapshots import StoredSnapshot

MAX_STATE, MAX_TITLE, MAX_NOTE, MAX_RUNS = 16_000, 200, 1_000, 8


class SnapshotRequest(BaseModel):
    """Request to store a view: finished runs, and the page's state as in its URL hash."""

    model_config = ConfigDict(extra="forbid", strict=True)

    runs: list[str] = Field(min_length=1, max_length=MAX_RUNS)
    state: str = Field("", max_length=MAX_STATE, pattern=NO_NUL)
    title: str = Field("", max_length=MAX_TITLE, pattern=NO_NUL)
    note: str = Field("", max_length=MAX_NOTE, pattern=NO_NUL)
    sweep: str | None = Field(
        None,
        max_length=40,
        pattern=NO_NUL,
        description="The sweep behind the view's map, or a snapshot whose sweep is reused. Its done runs are kept, "
        "those that have not ended are stored as missing.",
    )


class StoredSweepBody(BaseModel):
    """A sweep as it was when the view was stored. `values` and `figure` accept a metric, like those of a sweep."""

    id: str
    counts: dict[str, int] = Field(description="How many runs were in which state; missing ones had not ended.")
    values: str
    figure: str


class SnapshotBody(BaseModel):
    """Return a stored view."""

    id: str
    url: str
    runs: list[str]
    state: str
    title: str
    note: str
    created_at: datetime
    expires_at: datetime | None = Field(description="Deleted then, unless viewed before; null where kept forever.")
    sweep: StoredSweepBody | None

    @classmethod
    def build(cls, snapshot: StoredSnapshot) -> "SnapshotBody":
        """Build the response about a stored view from its row."""
        kept = {**vars(snapshot), **to_times(snapshot), "sweep": None}
        if snapshot.sweep is not None:
            base = to_address(f"{API}/snapshots/{snapshot.id}/sweep")
            counts = Counter(snapshot.sweep["states"].values())
            links = {"values": f"{base}/values", "figure": f"{base}/figure"}
            kept["sweep"] = StoredSweepBody(id=snapshot.sweep["id"], counts=counts, **links)
        return cls(url=to_address(f"/s/{snapshot.id}"), **kept)


class NewSnapshotBody(SnapshotBody):
    """Answer a POST of a view."""

    key: str | None = Field(description="Allows deleting the view; returned once, and only where the view is new.")

    @classmethod
    def build_new(cls, snapshot: StoredSnapshot, key: str | None) -> "NewSnapshotBody":
        """Convert the stored row, and add the key if the caller may have it."""
        return cls(**vars(SnapshotBody.build(snapshot)), key=key)


class OwnSnapshotBody(BaseModel):
    """Describe one of the caller's own views."""

    id: str
    url: str
    title: str
    created_at: datetime
    expires_at: datetime | None
    bytes: int = Field(description="Of the view's own texts and sweep, without its runs.")

    @classmethod
    def build(cls, snapshot: StoredSnapshot) -> "OwnSnapshotBody":
        """Build an entry of the caller's own views from the stored row."""
        kept = {name: getattr(snapshot, name) for name in ("id", "title", "bytes")}
        return cls(url=to_address(f"/s/{snapshot.id}"), **kept, **to_times(snapshot))


class DeletedBody(BaseModel):
    """Answer a DELETE of a view."""

    id: str


def to_times(snapshot: StoredSnapshot) -> dict[str, datetime | None]:
    """Return when a snapshot was stored, and until when it is kept."""
    expires_at = None if snapshot.expires_at is None else to_time(snapshot.expires_at)
    return {"created_at": to_time(snapshot.created_at), "expires_at": expires_at}
