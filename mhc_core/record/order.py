"""Checks the order of frames in a record, which `mhc_core.record.frames` defines."""

from typing import Any

from mhc_core.record.frames import AnyFrame, ProgressFrame, StartFrame, StepFrame
from mhc_core.spec import SpecError

Place = tuple[float, ...]

UNTRAINED, TRAINING, TRAINED = 1, 2, 3


class Order:
    """Raises SpecError for frames that come too early, too late or twice.

    Each frame has a place, a tuple of numbers, and places must increase.
    """

    def __init__(self) -> None:
        self._last: Place = (-1,)
        self._last_kind = "nothing"
        self._steps = 0
        self._made: int | None = None

    def take(self, frame: AnyFrame, path: str) -> None:
        """Check that this frame may follow the frames before it.

        Raises
        ------
        SpecError
            If it may not.
        """
        place = _to_place(frame)
        if self._last == (-1,) and not isinstance(frame, StartFrame):
            raise SpecError(f"{path}.type", frame.type, "start, which comes first")
        is_repeated = isinstance(frame, ProgressFrame) and place == self._last
        if place <= self._last and not is_repeated:
            raise SpecError(f"{path}.type", frame.type, f"a frame that may come after {self._last_kind}")
        self._check_step(frame, path)
        self._last, self._last_kind = place, _name_frame(frame)

    def _check_step(self, frame: AnyFrame, path: str) -> None:
        """Raise SpecError if a training step is missing, or if frames of the last pass have different steps."""
        if isinstance(frame, StepFrame):
            if frame.step != self._steps:
                raise SpecError(f"{path}.step", frame.step, f"{self._steps}: steps count from 0 without a gap")
            self._steps += 1
        elif (step := getattr(frame, "step", None)) is not None:
            self._made = step if self._made is None else self._made
            if step != self._made or step < 0:
                raise SpecError(f"{path}.step", step, "the same number, from 0, in all frames of the last pass")


def _to_place(frame: AnyFrame) -> Place:
    """Return the place of a frame in the order of a record, a tuple that increases from frame to frame."""
    stage = UNTRAINED if getattr(frame, "step", None) is None else TRAINED
    layer: Any = getattr(frame, "layer", 0)
    places: dict[str, Place] = {
        "start": (0,),
        "forward": (stage, 0, layer, 0),
        "similarity": (stage, 0, layer, 1),
        "loss": (stage, 1),
        "backward": (stage, 2, -layer),
        "mixing": (stage, 3),
        "step": (TRAINING, getattr(frame, "step", 0)),
        "jacobian": (4,),
        "progress": (5, 0, getattr(frame, "done", 0)),
        "bands": (5, 1),
        "atlas": (5, 2),
        "summary": (6,),
        "end": (7,),
    }
    if frame.type not in places:
        raise SpecError("type", frame.type, "a frame of a record")
    return places[frame.type]


def _name_frame(frame: AnyFrame) -> str:
    """Return the type of a frame, with its layer if it has one, for errors."""
    layer = getattr(frame, "layer", None)
    return frame.type if layer is None else f"{frame.type} of layer {layer}"
