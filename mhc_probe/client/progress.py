"""Show progress bars of runs and sweeps on the terminal."""

from typing import Any

from tqdm import tqdm

from mhc_core.record.frames import AnyFrame, BackwardFrame, EndFrame, ForwardFrame, ProgressFrame, StartFrame, StepFrame
from mhc_probe.client.models import Sweep

ENDED = ("done", "failed", "cancelled")


class RunBar:
    """A progress bar of a run. It counts frames of layers, forward and backward, and of training steps."""

    def __init__(self, run_id: str, progress: bool | None) -> None:
        self._bar = _open_bar(f"run {run_id[:8]}", "frame", progress)

    def take(self, frame: AnyFrame) -> None:
        """Advance the progress bar of the client's run by one received frame."""
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
        """Close the progress bar of the client's run; its last state stays on the terminal."""
        self._bar.close()


class SweepBar:
    """A progress bar of a sweep. It counts the runs that have ended."""

    def __init__(self, progress: bool | None) -> None:
        self._bar = _open_bar("sweep", "run", progress)

    def show(self, sweep: Sweep) -> None:
        """Update the progress bar to the progress of a sweep."""
        self._bar.total = sum(sweep.counts.values())
        self._bar.n = sum(sweep.counts.get(status, 0) for status in ENDED)
        failed = self._bar.n - sweep.counts.get("done", 0)
        self._bar.set_postfix_str(f"{failed} failed" if failed else "")

    def close(self) -> None:
        """Close the progress bar of a sweep and leave its line."""
        self._bar.close()


def count_frames(start: StartFrame) -> int:
    """Return the largest possible number of layer and step frames of a record. A trained stack is measured twice."""
    steps = start.get_source().train_steps
    return steps + (2 if steps else 1) * 2 * (start.layers + 1)


def _open_bar(title: str, unit: str, progress: bool | None) -> Any:
    """Open a progress bar. `progress` shows or hides it; by default it is shown where standard error is a terminal."""
    return tqdm(desc=title, unit=unit, disable=None if progress is None else not progress)
