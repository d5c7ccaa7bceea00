"""Addresses of a run."""

from pydantic import BaseModel

API = "/api/v1"


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
