"""Define an alarm, the limits that raise it, and the list of all alarms."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from mhc_core.findings.words import build_finding, to_finite
from mhc_core.record.summary import Finding
from mhc_probe.monitor.observation import Observation


@dataclass(frozen=True, kw_only=True)
class Limits:
    """Limits that raise an alarm when a value passes them.

    Attributes
    ----------
    gain: composite gain, forward or backward.
    sums: by how much a column sum of H_res may differ from 1 where its rows sum to 1, and the other way round.
    dead: share of the squared size of all streams that a living stream has, of an even share.
    dominant: share that no stream may reach.
    unmoved: entry of H_res by which mixing has to move while the loss falls.
    patience: updates after which it has to have moved.
    vanished: a layer's gradient over the last layer's.
    spike: rise of the loss, of the first loss.
    surge: size of the signal behind a layer, of what it was at the observation before.
    """

    gain: float = 30.0
    sums: float = 0.1
    dead: float = 1e-3
    dominant: float = 0.95
    unmoved: float = 1e-5
    patience: int = 100
    vanished: float = 1e-4
    spike: float = 0.25
    surge: float = 100.0


@dataclass(frozen=True, kw_only=True)
class Alarm:
    """One problem: a sentence and its numbers.

    Attributes
    ----------
    kind: `gain`, `sums`, `dead`, `dominant`, `unmoved`, `vanished`, `spike`, `surge` or
        `lost`, which is not finite.
    text: what is wrong, where and by how much; layers and streams count from 1.
    layer: from 0; None where it is of the whole model.
    value: the number; inf or nan where there is none.
    limit: what it has passed.
    panel: key of the panel that shows it.
    place: what tells alarms of one kind apart, as the direction of a gain.
    iteration: updates that were made before.
    """

    kind: str
    text: str
    layer: int | None
    value: float
    limit: float
    panel: str
    place: str = ""
    iteration: int = -1

    def to_finding(self) -> Finding:
        """Return the alarm as a finding for the record's summary."""
        numbers = {"iteration": self.iteration, "layer": self.layer, "value": to_finite(self.value)}
        return build_finding(f"alarm_{self.kind}", f"After {self.iteration} updates: {self.text}", self.panel, numbers)


class AlarmLog:
    """All alarms so far. An active alarm is raised once; one that ends and returns is raised again."""

    def __init__(self) -> None:
        self.raised: list[Alarm] = []
        self._active: set[tuple[str, str]] = set()

    def raise_new(self, observation: Observation, found: Sequence[Alarm]) -> list[Alarm]:
        """Add the alarms that were not active at the observation before, and return them."""
        new = [
            replace(alarm, iteration=observation.iteration)
            for alarm in found
            if (alarm.kind, alarm.place) not in self._active
        ]
        self._active = {(alarm.kind, alarm.place) for alarm in found}
        self.raised += new
        return new
