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
    gain: largest composite gain, forward or backward; 30 by default.
    sums: largest difference of a column sum of H_res from 1 if all rows sum to 1, or the reverse; 0.1.
    dead: smallest share of one stream in the squared size of all streams, as a fraction of an even share; 0.001.
    dominant: largest share of one stream in the squared size of all streams; 0.95.
    unmoved: smallest change of an entry of H_res while the loss falls; 0.00001.
    patience: number of updates after which H_res must have changed by `unmoved`; 100.
    vanished: smallest ratio of a layer's gradient to the last layer's; 0.0001.
    spike: largest rise of the loss, as a fraction of the first loss; 0.25.
    surge: largest growth of the signal after a layer since the previous observation, as a factor; 100.
    decay: smallest fraction of the initial mixing parameters that weight decay alone leaves until the last planned
        update, or until now if no number of updates is planned; 0.5.
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
    decay: float = 0.5


@dataclass(frozen=True, kw_only=True)
class Alarm:
    """One problem: a sentence and its numbers.

    Attributes
    ----------
    kind: `gain`, `sums`, `dead`, `dominant`, `unmoved`, `vanished`, `spike`, `surge`, `decay`, or `lost` for values
        that are not finite.
    text: a sentence with place and size of the problem; layers and streams are counted from 1.
    layer: index from 0; None if the alarm concerns the whole model.
    value: the measured value; inf or nan if it is not finite.
    limit: the limit that the value passed.
    panel: key of the panel that shows it.
    place: distinguishes alarms of one kind, such as by the direction of a gain.
    iteration: number of updates before the observation.
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
        """Add the alarms that were not active at the previous observation, and return them."""
        new = [
            replace(alarm, iteration=observation.iteration)
            for alarm in found
            if (alarm.kind, alarm.place) not in self._active
        ]
        self._active = {(alarm.kind, alarm.place) for alarm in found}
        self.raised += new
        return new
