"""Give log lines their context: the request, the client and the run that the current code serves."""

from contextvars import ContextVar
from dataclasses import dataclass, fields


@dataclass
class Context:
    """Ids for log lines, and no secrets. There is one object per request, which its threads share."""

    request: str = ""
    client: str = ""
    run: str = ""
    problem: str = ""


_current: ContextVar[Context | None] = ContextVar("context", default=None)


def begin(context: Context) -> None:
    """Use a context for the log lines of this task and of tasks that it starts."""
    _current.set(context)


def note(**ids: str) -> None:
    """Add ids, such as that of the client, to the log lines of the current request; do nothing without a request."""
    context = _current.get()
    if context is not None:
        for name, value in ids.items():
            setattr(context, name, value)


def read() -> dict[str, str]:
    """Return the ids of the current request for its log lines."""
    context = _current.get()
    return {} if context is None else {f.name: value for f in fields(context) if (value := getattr(context, f.name))}
