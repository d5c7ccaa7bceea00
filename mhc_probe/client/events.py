"""Parse Server-Sent Events from the bytes of a stream.

Only line feeds end a line: text within JSON may contain other characters that Python counts as line ends.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Event:
    """One event. `id` is None if it has none."""

    kind: str
    data: bytes
    id: str | None


class EventReader:
    """Parses chunks in order, and returns complete events."""

    def __init__(self) -> None:
        self._rest = b""
        self.retry_s: float | None = None

    def feed(self, chunk: bytes) -> list[Event]:
        """Return the server-sent events that this chunk of bytes completes."""
        *blocks, self._rest = (self._rest + chunk).split(b"\n\n")
        return [event for block in blocks if (event := self._parse_event(block)) is not None]

    def _parse_event(self, block: bytes) -> Event | None:
        """Parse the lines of one server-sent event, and store its retry time. Return None without data."""
        fields: dict[bytes, bytes] = {}
        for line in block.split(b"\n"):
            name, _, value = line.partition(b":")
            if name:  # a line without a name is a comment
                fields[name] = value.removeprefix(b" ")
        if b"retry" in fields:
            self.retry_s = int(fields[b"retry"]) / 1000
        if b"data" not in fields:
            return None
        mark = fields.get(b"id")
        kind = fields.get(b"event", b"message").decode()
        return Event(kind, fields[b"data"], None if mark is None else mark.decode())
