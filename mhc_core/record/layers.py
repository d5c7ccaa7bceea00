"""The frames of one pass through a stack, layer by layer.

If the stack was trained before, they have `step`, the number of updates made.
"""

from dataclasses import dataclass
from typing import Literal

from mhc_core.record.values import LayerStatus, ProtocolPart, Row, Status, Values


@dataclass(frozen=True, slots=True, kw_only=True)
class ForwardFrame(ProtocolPart):
    """One layer on the way up: states, branch, mixing matrices."""

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
    """The loss, between the way up and the way down."""

    type: Literal["loss"] = "loss"
    step: int | None = None
    """Updates made before, where the stack was trained."""
    values: dict[str, float | None]
    """`loss`: nats of a text or of digits; null where it is not finite. Of an edited run also `loss_base`, the loss
    without edits, and where the output is a distribution `output_kl`, its divergence from the output without edits."""
    status: dict[str, Status]


@dataclass(frozen=True, slots=True, kw_only=True)
class BackwardFrame(ProtocolPart):
    """One layer on the way down: gradients."""

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
    """What is known only after the pass: products of mixing matrices, and gradients of the mixing, in float64."""

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
