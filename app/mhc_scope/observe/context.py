"""What a line of the log is about: the request, the client and the run that the code at hand serves."""

from contextvars import ContextVar
from dataclasses import dataclass, fields


@dataclass
class Context:
    """Ids alone, and no secret. One object a request: a thread that works for it notes into the same one."""

    request: str = ""
    client: str = ""
    run: str = ""
    problem: str = ""


_current: ContextVar[Context | None] = ContextVar("context", default=None)


def begin(context: Context) -> None:
    """What this task and those that it starts log from here on is about this."""
    _current.set(context)


def note(**ids: str) -> None:
    """Add what has become known, such as the client; outside of a request it is dropped."""
    context = _current.get()
    if context is not None:
        for name, value in ids.items():
            setattr(context, name, value)


def read() -> dict[str, str]:
    """The ids that are known."""
    context = _current.get()
    return {} if context is None else {f.name: value for f in fields(context) if (value := getattr(context, f.name))}
