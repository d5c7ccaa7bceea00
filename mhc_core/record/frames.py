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

from dataclasses import dataclass
from typing import Annotated, Literal, get_args

from pydantic import Discriminator, TypeAdapter

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
from mhc_core.record.values import LayerStatus, ProtocolPart, Row, Status, Values

# The frames of one pass, layer by layer. If the stack was trained before, they have `step`, the number of updates made.


@dataclass(frozen=True, slots=True, kw_only=True)
class ForwardFrame(ProtocolPart):
    """One layer of the forward pass: states, branch, mixing matrices."""

    type: Literal["forward"] = "forward"
    step: int | None = None
    """Updates made before, where the stack was trained."""
    layer: int
    """From 0; -1 is the embedding's output."""
    values: Values
    """By metric: a number, (n) or (n, n), in the metric's unit; null where the status says why."""
    log10: Values
    """Logarithms of metrics that span decades, known also where the value has left its range."""
    status: dict[str, Status]
    """By metric, only where a value is not finite or has left the range of its type."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SimilarityFrame(ProtocolPart):
    """CKA of one layer with itself and every layer before it."""

    type: Literal["similarity"] = "similarity"
    step: int | None = None
    """Updates made before, where the stack was trained."""
    layer: int
    """From 0."""
    cka: Row
    """One row, (layer + 1), from 0 to 1; null where this layer or the other has a status."""
    status: dict[str, Status] | None = None
    """Why the layer has no CKA; `constant` where it is the same for all samples. Records of numerics 1 do not say."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LossFrame(ProtocolPart):
    """The loss, between the forward and the backward pass."""

    type: Literal["loss"] = "loss"
    step: int | None = None
    """Updates made before, where the stack was trained."""
    values: dict[str, float | None]
    """`loss`: nats of a text or of digits; null where it is not finite. Of an edited run also `loss_base`, the loss
    without edits, and where the output is a distribution `output_kl`, its divergence from the output without edits."""
    status: dict[str, Status]


@dataclass(frozen=True, slots=True, kw_only=True)
class BackwardFrame(ProtocolPart):
    """One layer of the backward pass: gradients."""

    type: Literal["backward"] = "backward"
    step: int | None = None
    """Updates made before, where the stack was trained."""
    layer: int
    """Counts down; -1 is the embedding's output."""
    values: Values
    """By metric: a number or (n), in the metric's unit; null where the status says why."""
    log10: Values
    """Logarithms of metrics that span decades, known also where the value has left its range."""
    status: dict[str, Status]
    """By metric, only where a value is not finite or has left the range of its type."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MixingFrame(ProtocolPart):
    """Products of mixing matrices and gradients of the mixing, in float64, sent after the pass."""

    type: Literal["mixing"] = "mixing"
    step: int | None = None
    """Updates made before, where the stack was trained."""
    values: Values
    """By metric: a column over the layers, (L); `unfolded` is (L, L + 1)."""
    log10: Values
    """Logarithms of metrics that span decades, (L)."""
    status: dict[str, LayerStatus]
    """By metric and layer, only where a value is not finite or has left the range of its type."""


PassFrame = ForwardFrame | SimilarityFrame | LossFrame | BackwardFrame | MixingFrame
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
