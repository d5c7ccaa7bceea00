"""Build addresses in answers, such as those of a run."""

from contextvars import ContextVar

from pydantic import BaseModel

API = "/api/v1"

# Of the current request: the code that builds bodies has no access to it.
_root: ContextVar[str] = ContextVar("root_path", default="")


def set_root(path: str) -> None:
    """Set the path below which a proxy shows the server, for addresses in the answer to the current request."""
    _root.set(path)


def to_address(path: str) -> str:
    """Return the address of a route by its path, as the browser or another client reaches it."""
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
