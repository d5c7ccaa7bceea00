"""Checks the order of frames in a record, which `mhc_core.record.frames` defines."""

from mhc_core.record.frames import (
    AnyFrame,
    AtlasFrame,
    BackwardFrame,
    BandsFrame,
    EndFrame,
    ForwardFrame,
    JacobianFrame,
    LossFrame,
    MixingFrame,
    ProgressFrame,
    SimilarityFrame,
    StartFrame,
    StepFrame,
    SummaryFrame,
)
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
    match frame:
        case StartFrame():
            return (0,)
        case ForwardFrame():
            return (stage, 0, frame.layer, 0)
        case SimilarityFrame():
            return (stage, 0, frame.layer, 1)
        case LossFrame():
            return (stage, 1)
        case BackwardFrame():
            return (stage, 2, -frame.layer)
        case MixingFrame():
            return (stage, 3)
        case StepFrame():
            return (TRAINING, frame.step)
        case JacobianFrame():
            return (4,)
        case ProgressFrame():
            return (5, 0, frame.done)
        case BandsFrame():
            return (5, 1)
        case AtlasFrame():
            return (5, 2)
        case SummaryFrame():
            return (6,)
        case EndFrame():
            return (7,)
    raise SpecError("type", frame.type, "a frame of a record")


def _name_frame(frame: AnyFrame) -> str:
    """Return the type of a frame, with its layer if it has one, for errors."""
    layer = getattr(frame, "layer", None)
    return frame.type if layer is None else f"{frame.type} of layer {layer}"
