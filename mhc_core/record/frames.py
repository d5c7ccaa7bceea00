"""What a record consists of: a sequence of frames, one typed message each, distinguished by `type`.

Order: `start`, then while signals travel up `forward` and `similarity` for every layer, `loss`, `backward` for every
layer counting down, `mixing`. A run that trains goes on with one `step` for every step, and measures the trained stack
by the same frames once more; these carry `step`, the number of updates made. `jacobian` and `bands` follow where the
spec asks for them, the latter behind `progress` frames that say which share of the other seeds is done, then `summary`.
The engine appends `end` with how the run ended. Nothing in a frame is of the clock: a run that is computed
again gives the same frames. `recomputation` is the one frame of a verification, `atlas` the last one of an atlas and
`lens` of a lens.
Layers count from 0 here and everywhere in data; people read them from 1.

A measured group is three parallel dicts. `values[key]` is a number, list or array in plain units; `log10[key]`
accompanies it for metrics that span decades; `status[key]` is present only if the value is not finite or has
left the range of its type: `overflow`, `underflow` or `nan`; of a trace also `unknown`, where what the value is made of
was not recorded. Such a value is null, and its log10, where known, is not.
A row of CKA travels as `cka` next to such a `status`, which says why the layer has none; it is `constant` where the
layer is the same for all samples. An entry is null where its own layer or the other has a status.

Frames are plain frozen dataclasses: making one checks nothing and costs little. `FRAME` checks what comes from outside.
"""

from typing import Annotated, get_args

from pydantic import Discriminator, TypeAdapter

from mhc_core.record.layers import (
    BackwardFrame,
    ForwardFrame,
    LossFrame,
    MixingFrame,
    PassFrame,
    SimilarityFrame,
)
from mhc_core.record.stages import (
    AtlasFrame,
    BandsFrame,
    JacobianFrame,
    LensFrame,
    ProgressFrame,
    RecomputationFrame,
    StepFrame,
)
from mhc_core.record.start import StartFrame
from mhc_core.record.summary import EndFrame, SummaryFrame

__all__ = [
    "FRAME",
    "FRAME_KINDS",
    "AtlasFrame",
    "BackwardFrame",
    "BandsFrame",
    "EndFrame",
    "ForwardFrame",
    "Frame",
    "JacobianFrame",
    "LensFrame",
    "LossFrame",
    "MixingFrame",
    "PassFrame",
    "ProgressFrame",
    "RecomputationFrame",
    "SimilarityFrame",
    "StartFrame",
    "StepFrame",
    "SummaryFrame",
]

AnyFrame = (
    StartFrame
    | ForwardFrame
    | SimilarityFrame
    | LossFrame
    | BackwardFrame
    | MixingFrame
    | StepFrame
    | JacobianFrame
    | ProgressFrame
    | BandsFrame
    | SummaryFrame
    | RecomputationFrame
    | AtlasFrame
    | LensFrame
    | EndFrame
)
Frame = Annotated[AnyFrame, Discriminator("type")]

FRAME: TypeAdapter[AnyFrame] = TypeAdapter(Frame)
# Value of `type` -> class, in the order in which frames come.
FRAME_KINDS: dict[str, type[AnyFrame]] = {
    get_args(kind.__annotations__["type"])[0]: kind for kind in get_args(AnyFrame)
}
