"""Progress bars: how far a run or a sweep is, on the terminal."""

from typing import Any

from tqdm import tqdm

from mhc_core.record.frames import AnyFrame, BackwardFrame, EndFrame, ForwardFrame, ProgressFrame, StartFrame, StepFrame
from mhc_probe.client.models import Sweep

ENDED = ("done", "failed", "cancelled")


class RunBar:
    """Frames of a run: layers on the way up and down, and steps of training."""

    def __init__(self, run_id: str, progress: bool | None) -> None:
        self._bar = _open_bar(f"run {run_id[:8]}", "frame", progress)

    def take(self, frame: AnyFrame) -> None:
        """One more."""
        match frame:
            case StartFrame():
                self._bar.total = count_frames(frame)
                self._bar.refresh()
            case ForwardFrame() | BackwardFrame() | StepFrame():
                self._bar.update()
            case ProgressFrame():
                self._bar.set_postfix({frame.stage: f"{frame.done:.0%}"})
            case EndFrame():
                self._bar.set_postfix_str(frame.status)

    def close(self) -> None:
        """Leave the line as it is."""
        self._bar.close()


class SweepBar:
    """Runs of a sweep that have ended."""

    def __init__(self, progress: bool | None) -> None:
        self._bar = _open_bar("sweep", "run", progress)

    def show(self, sweep: Sweep) -> None:
        """How far it is."""
        self._bar.total = sum(sweep.counts.values())
        self._bar.n = sum(sweep.counts.get(status, 0) for status in ENDED)
        failed = self._bar.n - sweep.counts.get("done", 0)
        self._bar.set_postfix_str(f"{failed} failed" if failed else "")

    def close(self) -> None:
        """Leave the line as it is."""
        self._bar.close()


def count_frames(start: StartFrame) -> int:
    """How many frames of layers and steps a record has at most: a stack that is trained is measured twice."""
    steps = start.get_source().train_steps
    return steps + (2 if steps else 1) * 2 * (start.layers + 1)


def _open_bar(title: str, unit: str, progress: bool | None) -> Any:
    """A bar: shown or not as `progress` says, by default where standard error is a terminal."""
    return tqdm(desc=title, unit=unit, disable=None if progress is None else not progress)
