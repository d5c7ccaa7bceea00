"""Open the destinations of a monitor's observations that its argument `to=` names."""

from collections.abc import Iterable
from os import PathLike
from pathlib import Path
from typing import Any, Protocol

from mhc_core.record.summary import EndStatus, Finding
from mhc_core.spec import SpecError
from mhc_probe.monitor.alarm import Alarm
from mhc_probe.monitor.delivery import PATIENCE_S, DeliveryQueue, DeliveryTarget
from mhc_probe.monitor.file import GrowingFile
from mhc_probe.monitor.observation import Observation
from mhc_probe.monitor.record import GrowingRecord
from mhc_probe.monitor.scalars import Scalars
from mhc_probe.monitor.server import LiveServer

FIRST_PATIENCE_S = 2.0  # longest wait of the training for the first delivery to a server

WANTED = (
    "a path that ends in .mhct or .ndjson, the URL of a server, an object with add_scalar or log, or a list of these"
)


class Destination(Protocol):
    """Receives observations. No method raises or blocks for long because a target is unavailable."""

    @property
    def link(self) -> str | None:
        """Return the address of the page that shows the recording, if there is one."""

    def announce(self) -> None:
        """Prepare for a training that is about to start."""

    def take(self, observation: Observation, new: list[Alarm]) -> None:
        """Add one observation, with the alarms that it raises."""

    def end(self, status: EndStatus, reason: str | None, alarms: list[Alarm], iteration: int) -> None:
        """End the recording after `iteration` updates, with all alarms."""


class DeliveredTrace:
    """A growing record and the queue that delivers it to a file or server.

    Observations are skipped while the queue is full. The record continues with later ones, numbered without a gap.
    """

    def __init__(self, target: DeliveryTarget) -> None:
        self.target, self.record, self.queue = target, GrowingRecord(), DeliveryQueue(target)
        self.skipped = 0
        self.alarms: list[Finding] = []

    @property
    def link(self) -> str | None:
        """Return the address of the page that shows the trace, if there is one."""
        return self.target.link if isinstance(self.target, LiveServer) else None

    def announce(self) -> None:
        """Print where a live recording will be shown."""
        if isinstance(self.target, LiveServer):
            self.target.announce()

    def take(self, observation: Observation, new: list[Alarm]) -> None:
        """Queue the lines of an observation. Wait for the first delivery to a server, to print the address early."""
        self.alarms += [alarm.to_finding() for alarm in new]
        if self.queue.has_capacity:
            self.queue.send(self.record.add(observation, self.alarms))
        else:
            self.skipped += 1
        if isinstance(self.target, LiveServer):
            self.queue.wait_for_first(FIRST_PATIENCE_S)

    def end(self, status: EndStatus, reason: str | None, alarms: list[Alarm], iteration: int) -> None:
        """Queue the end of the recording, and wait some seconds for the queue to empty."""
        self.queue.send(self.record.end(status, reason, [alarm.to_finding() for alarm in alarms], iteration))
        if self.queue.close(PATIENCE_S):
            self.target.finish()


def open_destinations(to: Any) -> list[Destination]:
    """Return the destinations that the monitor's `to=` names: files, servers and writers of scalars.

    Raises
    ------
    SpecError
        If `to` is not a destination.
    """
    if to is None:
        return []
    if isinstance(to, str) and to.startswith(("http://", "https://")):
        return [DeliveredTrace(LiveServer(to))]
    if isinstance(to, str | PathLike):
        path = Path(to)
        if path.suffix not in (".mhct", ".ndjson"):
            raise SpecError("to", str(to), WANTED)
        return [DeliveredTrace(GrowingFile(path))]
    if callable(getattr(to, "add_scalar", None)) or callable(getattr(to, "log", None)):
        return [Scalars(to)]
    if isinstance(to, Iterable):
        return [destination for item in to for destination in open_destinations(item)]
    raise SpecError("to", type(to).__name__, WANTED)
