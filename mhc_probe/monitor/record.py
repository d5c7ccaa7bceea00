"""Build a record that grows while a model trains: the frames that each observation adds."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from mhc_core.findings.words import build_finding
from mhc_core.record.codec import encode_frame
from mhc_core.record.frames import AnyFrame, EndFrame, PassFrame, SummaryFrame
from mhc_core.record.summary import EndStatus, Finding
from mhc_probe.monitor.observation import Observation
from mhc_probe.monitor.step_frame import build_step_frame
from mhc_probe.monitor.story import build_story

RUN = ""  # id of the record, which only the store that receives it assigns


class GrowingRecord:
    """Converts observations to the numbered, encoded frames of one record."""

    def __init__(self) -> None:
        self.lines = 0
        self.steps = 0
        self._last: Observation | None = None

    def add(self, observation: Observation, alarms: Sequence[Finding] = ()) -> list[bytes]:
        """Return the lines of one observation: a `step` frame, for the first observation after the frames of its pass.

        alarms: all alarms so far.
        """
        frames: list[AnyFrame] = []
        if self._last is None:
            frames = [frame for frame in observation.frames if not isinstance(frame, SummaryFrame)]
        frames.append(replace(build_step_frame(observation, self.steps), story=build_story(observation, alarms)))
        self.steps += 1
        self._last = observation
        return list(self._encode_frames(frames))

    def end(self, status: EndStatus, reason: str | None, alarms: list[Finding], iteration: int) -> list[bytes]:
        """Return the last lines: the pass of the last observation, its summary with the alarms first, and the end.

        iteration: number of updates made. The summary states how many of them came after the last observation.
        """
        frames: list[AnyFrame] = []
        for frame in [] if self._last is None else self._last.frames:
            if isinstance(frame, PassFrame):
                frames.append(replace(frame, step=self.steps))
            elif isinstance(frame, SummaryFrame):
                frames.append(replace(frame, findings=[*alarms, *frame.findings, *self._describe_rest(iteration)]))
        return list(self._encode_frames([*frames, EndFrame(status=status, reason=reason)]))

    def _describe_rest(self, iteration: int) -> list[Finding]:
        """Return a finding with the number of updates after the last observed pass; none if there are none."""
        rest = 0 if self._last is None else iteration - self._last.iteration - 1
        if rest < 1 or self._last is None:
            return []
        updates = "1 more update was" if rest == 1 else f"{rest} more updates were"
        text = f"The last observation is of the pass before update {self._last.iteration + 1}; {updates} made after it."
        return [build_finding("unobserved", text, "training", {"observed": self._last.iteration, "updates": iteration})]

    def _encode_frames(self, frames: list[AnyFrame]) -> Iterator[bytes]:
        """Yield the lines of these frames, numbered after those of earlier calls."""
        for frame in frames:
            yield encode_frame(frame, RUN, self.lines)
            self.lines += 1
