"""Where a monitor writes to: what `to=` may be."""

from collections.abc import Iterable
from os import PathLike
from pathlib import Path
from typing import Any, Protocol

from mhc_core.record.summary import EndStatus, Finding
from mhc_core.spec import SpecError
from mhc_probe.monitor.alarms import Alarm
from mhc_probe.monitor.delivery import PATIENCE_S, DeliveryQueue, DeliveryTarget
from mhc_probe.monitor.file import GrowingFile
from mhc_probe.monitor.observation import Observation
from mhc_probe.monitor.record import GrowingRecord
from mhc_probe.monitor.scalars import Scalars
from mhc_probe.monitor.server import LiveServer

FIRST_PATIENCE_S = 2.0  # that a server has to take the first observation, while training waits once

WANTED = (
    "a path that ends in .mhct or .ndjson, the URL of a server, an object with add_scalar or log, or a list of these"
)


class Destination(Protocol):
    """Takes observations as they come; none of its methods raises or waits long because a place is away."""

    @property
    def link(self) -> str | None:
        """The page that shows what was taken, where there is one."""

    def announce(self) -> None:
        """Training is about to begin."""

    def take(self, observation: Observation, new: list[Alarm]) -> None:
        """One more observation, with the alarms that are new in it."""

    def end(self, status: EndStatus, reason: str | None, alarms: list[Alarm], iteration: int) -> None:
        """The training has ended after so many updates; all alarms that there were."""


class DeliveredTrace:
    """A growing record that a queue brings to its place.

    While more waits than may, observations are left out: those that follow join on without a gap.
    """

    def __init__(self, target: DeliveryTarget) -> None:
        self.target, self.record, self.queue = target, GrowingRecord(), DeliveryQueue(target)
        self.left_out = 0
        self.alarms: list[Finding] = []

    @property
    def link(self) -> str | None:
        """The page that shows it, where there is one."""
        return self.target.link if isinstance(self.target, LiveServer) else None

    def announce(self) -> None:
        """Print where a live trace will be, before there is one."""
        if isinstance(self.target, LiveServer):
            self.target.announce()

    def take(self, observation: Observation, new: list[Alarm]) -> None:
        """Send its lines on their way; the first ones are waited for, so that the page is known before an update."""
        self.alarms += [alarm.to_finding() for alarm in new]
        if self.queue.has_capacity:
            self.queue.send(self.record.add(observation, self.alarms))
        else:
            self.left_out += 1
        if isinstance(self.target, LiveServer):
            self.queue.wait_for_first(FIRST_PATIENCE_S)

    def end(self, status: EndStatus, reason: str | None, alarms: list[Alarm], iteration: int) -> None:
        """Send the end, and wait a while for what is on its way."""
        self.queue.send(self.record.end(status, reason, [alarm.to_finding() for alarm in alarms], iteration))
        if self.queue.close(PATIENCE_S):
            self.target.finish()


def open_destinations(to: Any) -> list[Destination]:
    """What `to=` names, opened.

    Raises
    ------
    SpecError
        Where it is none of what it may be.
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
