"""The frames of a record: a sequence of typed messages, distinguished by `type`.

The order is: `start`; in the forward pass `forward` and `similarity` for each layer; `loss`; in the backward pass
`backward` for each layer, from the last to the first; `mixing`. A run that trains continues with one `step` for each
training step, and measures the trained stack with the same frames again; these have `step`, the number of updates made.
`jacobian` and `bands` follow if the spec asks for them; before `bands` there are `progress` frames with the share of
seeds that is done. Then `summary`. The engine appends `end` with how the run ended. Frames contain no times, so that a
run that is computed again gives the same frames. `recomputation` is the only frame of a verification, `atlas` the last
frame of an atlas, and `lens` that of a lens.
Layers are counted from 0 here and everywhere in data, and from 1 for people.

A measured group consists of three parallel dicts. `values[key]` is a number, list or array in plain units. `log10[key]`
is its logarithm, for metrics that span decades. `status[key]` is present only if the value is not finite or has left
the range of its type: `overflow`, `underflow` or `nan`; in a trace also `unknown`, if the data for the value were not
recorded. Such a value is null, but its log10 may be known.
A row of CKA is in the field `cka`, next to a `status` that says why the layer has no CKA: also `constant`, if the layer
is the same for all samples. An entry is null if either of its layers has a status.

Frames are plain frozen dataclasses: creating one checks nothing and costs little. `FRAME` checks frames from outside.
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
# Value of `type` -> class, in the order of frames in a record.
FRAME_KINDS: dict[str, type[AnyFrame]] = {
    get_args(kind.__annotations__["type"])[0]: kind for kind in get_args(AnyFrame)
}
