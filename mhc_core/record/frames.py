"""What a run emits: a sequence of frames, each a small record of plain values and numpy arrays.

Order: `start`, then while signals travel up `forward` and `similarity` for every layer, `loss`, `backward` for every
layer counting down, `mixing`. A run that trains goes on with one `step` for every step, and measures the trained stack
by the same frames once more; these carry `step`, the number of updates made. `jacobian` and `bands` follow where the
spec asks for them, the latter behind `progress` frames that say which share of the other seeds is done, then `summary`.
Whoever executes the run appends `end` with how it ended. Nothing in a frame is of the clock: a run that is computed
again gives the same frames. `recomputation` is the one frame of a verification.
Layers count from 0 here and everywhere in data; people read them from 1.

A measured group is three parallel dicts. `values[key]` is a number, list or array in plain units; `log10[key]`
stands beside it for metrics that span decades; `status[key]` is present only where the value is not finite or has
left the range of its type: `overflow`, `underflow` or `nan`. Such a value is null, and its log10, where known, is not.
A row of CKA travels as `cka` beside such a `status`, which says why the layer has none; it is `constant` where the
layer is the same for all samples. An entry is null where its own layer or the other has a status.
"""

from dataclasses import dataclass, field
from typing import Any, Literal

FrameType = Literal[
    "start",
    "forward",
    "similarity",
    "loss",
    "backward",
    "mixing",
    "step",
    "jacobian",
    "progress",
    "bands",
    "summary",
    "recomputation",
    "end",
]
Status = Literal["finite", "overflow", "underflow", "constant", "nan"]


@dataclass(frozen=True)
class Frame:
    """One message of a run.

    Attributes
    ----------
    type:
        What it reports.
    data:
        JSON-ready values; numpy arrays of one dimension are sent as lists, of two or more as typed arrays.
    """

    type: FrameType
    data: dict[str, Any] = field(default_factory=dict)
