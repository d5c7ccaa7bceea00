"""Build addresses for responses, such as those of a run."""

from contextvars import ContextVar

from pydantic import BaseModel

API = "/api/v1"

# Root path of the current request, which the code that builds bodies cannot access.
_root: ContextVar[str] = ContextVar("root_path", default="")


def set_root(path: str) -> None:
    """Set the root path below which a proxy shows the server, for addresses in the response to the current request."""
    _root.set(path)


def to_address(path: str) -> str:
    """Return the address of a route for clients: its path below the root path."""
    return _root.get() + path


class Links(BaseModel):
    """List the addresses of a run and of its parts."""

    self: str
    events: str
    result: str
    figures: str
    composite: str


def to_links(run_id: str) -> Links:
    """Return the addresses of a run's routes by name."""
    base = to_address(f"{API}/runs/{run_id}")
    names = ("events", "result", "figures", "composite")
    return Links(self=base, **{name: f"{base}/{name}" for name in names})
