"""Give log lines their context: the ids of what the current code serves, by name: request, client, run, problem.

They contain no secrets. There is one dictionary per request, which its threads share.
"""

from contextvars import ContextVar

_current: ContextVar[dict[str, str] | None] = ContextVar("context", default=None)


def begin(**ids: str) -> None:
    """Use these ids for the log lines of this task and of tasks that it starts."""
    _current.set(ids)


def note(**ids: str) -> None:
    """Add ids, such as that of the client, to the log lines of the current request; do nothing without a request."""
    context = _current.get()
    if context is not None:
        context.update(ids)


def read() -> dict[str, str]:
    """Return the ids of the current request for its log lines."""
    return {name: value for name, value in (_current.get() or {}).items() if value}
