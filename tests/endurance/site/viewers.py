"""A viewer who follows a run to its end, however often the stream is cut, and notices frames that are missing."""

import itertools
import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import httpx

PAUSE_S = 0.1
# A stream says something every 15 s; a request that is answered later has been forgotten.
TIMEOUT = httpx.Timeout(60.0, connect=10.0)


@dataclass
class Followed:
    """What a viewer was sent of a run.

    Attributes
    ----------
    lines: frames from index 0 on.
    cuts: how often a stream that was open ended before the run did.
    torn: what was wrong with the order of frames.
    is_open: whether a stream has been answered.
    seconds: from the first try to the end.
    """

    run_id: str
    lines: list[str] = field(default_factory=list)
    cuts: int = 0
    torn: list[str] = field(default_factory=list)
    is_open: bool = False
    seconds: float = 0.0

    @property
    def status(self) -> str:
        """How the run ended, as the viewer was told; empty where it was not."""
        return str(self.end.get("status", ""))

    @property
    def end(self) -> dict[str, str]:
        """The last frame, where it is an end."""
        last: dict[str, str] = json.loads(self.lines[-1]) if self.lines else {}
        return last if last.get("type") == "end" else {}


@dataclass(frozen=True)
class Event:
    """One event of a stream."""

    id: str
    name: str
    data: str


def follow(urls: Sequence[str], run_id: str, patience_s: float) -> Followed:
    """Follow a run, at the next server whenever a stream is cut, until its end or the end of patience."""
    return fill(Followed(run_id), urls, patience_s)


def fill(found: Followed, urls: Sequence[str], patience_s: float) -> Followed:
    """The same, for those who look at what is there meanwhile."""
    begun = time.monotonic()
    places = itertools.cycle(urls)
    with httpx.Client(timeout=TIMEOUT) as http:
        while not found.status and not found.torn and time.monotonic() - begun < patience_s:
            try:
                _follow_once(http, next(places), found)
            except httpx.TransportError:
                time.sleep(PAUSE_S)
            found.cuts += found.is_open and not found.status
            found.is_open = False
    found.seconds = time.monotonic() - begun
    return found


def _follow_once(http: httpx.Client, url: str, found: Followed) -> None:
    headers = {"Last-Event-ID": str(len(found.lines) - 1)} if found.lines else {}
    with http.stream("GET", f"{url}/api/v1/runs/{found.run_id}/events", headers=headers) as answer:
        if answer.status_code != 200:
            time.sleep(PAUSE_S)
            return
        found.is_open = True
        for event in read_events(answer.iter_lines()):
            if event.id:
                take(event, found)
            if found.torn or event.name in ("end", "closing"):
                return


def take(event: Event, found: Followed) -> None:
    """Note a frame, or that it is not the one that was due."""
    if int(event.id) != len(found.lines):
        found.torn.append(f"run {found.run_id}: frame {event.id} came where {len(found.lines)} was due")
        return
    found.lines.append(event.data)


def read_events(lines: Iterator[str]) -> Iterator[Event]:
    """Events as they arrive; comments and bare `retry` are left out."""
    fields: dict[str, str] = {}
    for line in lines:
        if line:
            name, _, value = line.partition(": ")
            fields[name] = value
        elif "data" in fields:
            yield Event(fields.get("id", ""), fields.get("event", ""), fields["data"])
            fields = {}
