"""The frames of computations in addition to a pass: training, Jacobian, other seeds, atlas, lens, recomputation."""

from dataclasses import dataclass
from typing import Literal

from mhc_core.record.summary import Story
from mhc_core.record.values import LayerStatus, ProtocolPart, Row, Status, Values


@dataclass(frozen=True, slots=True, kw_only=True)
class StepFrame(ProtocolPart):
    """One step of training: what its pass measured, before the update."""

    type: Literal["step"] = "step"
    step: int
    """From 0."""
    iteration: int | None = None
    """Of a trace: updates that the trainer had made before, which need not be those that were watched."""
    values: Values
    """By metric: a number, a column (L), or at steps that are kept matrices (L, n), (L, n, n), (L, L), (L, L + 1)."""
    log10: Values
    """Logarithms of metrics that span decades."""
    status: dict[str, Status | LayerStatus]
    """By metric: one status, or of columns over the layers one by layer."""
    input: Values | None = None
    """At steps that are kept: `act_rms_streams` and `grad_rms_streams` of the state before the layers, (n)."""
    story: Story | None = None
    """Of a trace that grows: what is known in words at this step."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Convergence(ProtocolPart):
    """Whether bound and rounding of a singular value are small relative to it."""

    sigma_max: bool
    sigma_min: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class JacobianFrame(ProtocolPart):
    """Extreme singular values of the stack's Jacobian."""

    type: Literal["jacobian"] = "jacobian"
    values: Values
    """By metric: a number, or all Ritz values."""
    log10: Values
    status: dict[str, Status]
    products: int
    """Pairs of products with vectors that were made."""
    dimension: int
    """Entries of a vector."""
    converged: Convergence


@dataclass(frozen=True, slots=True, kw_only=True)
class ProgressFrame(ProtocolPart):
    """How much of a long stage is done."""

    type: Literal["progress"] = "progress"
    stage: Literal["seeds", "atlas", "lens"] = "seeds"
    done: float
    """Share, from 0 to 1."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BandsFrame(ProtocolPart):
    """Percentiles over several seeds of every metric with one value per layer."""

    type: Literal["bands"] = "bands"
    first: int
    """The first seed; the others follow it."""
    seeds: int
    """How many."""
    bands: dict[str, dict[str, Row]]
    """By metric `min`, `p05`, `p50`, `p95` and `max`, (L); log10 of metrics that span decades."""
    lost: dict[str, dict[int, int]]
    """By metric and layer: seeds that have no number there; only where there are any."""
    largest: dict[str, Row]
    """Of the composite gains each seed's largest log10 over depth, one entry per seed; null where it is not known."""
    gradient_growth: Row | None = None
    """Each seed's log10 of the gradient at the first layer over that at the last; null where one is not known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cut(ProtocolPart):
    """One way of cutting, as an edit names it."""

    what: str
    do: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AtlasFrame(ProtocolPart):
    """What every single cut of a stack does: the last frame of an atlas. Of several seeds their medians."""

    type: Literal["atlas"] = "atlas"
    cuts: list[Cut]
    """K ways of cutting."""
    loss_base: float | None
    """The loss without a cut."""
    values: Values
    """`loss`, `output_kl` and `effect_last`, (K, L, n) each, n being streams, or for cuts of a source over depth the
    most sources that a layer weighs: the loss with the cut, the KL divergence of the output
    from that without, and the relative distance of the last state; null where a value is not finite, the
    layer has no such part, or the read-out gives no distribution."""
    seeds: int
    """How many seeds the medians are of."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LensFrame(ProtocolPart):
    """What the read-out makes of every state, and what linear probes read from each stream: the last frame of a lens.

    Rows R are the embedding and what leaves each layer.
    """

    type: Literal["lens"] = "lens"
    subsets: list[list[int]]
    """S subsets of the streams: each stream alone first, all together last."""
    values: Values
    """KL divergence from the stack's own output, in nats: `kl` of the state (R), `kl_subsets` where the other streams
    are 0 (R, S), `kl_branches` of the branch's output alone (L). `top`: probabilities of the likeliest tokens (R, k).
    `probe`: accuracy of linear probes on held-out data, (P, R, n) by target, row and stream."""
    tokens: list[list[str]]
    """The likeliest tokens of one position in words, (R, k)."""
    context: str
    """What was read up to that position."""
    target: str
    """What follows there in the data."""
    targets: list[str]
    """P targets of the probes."""
    chance: list[float]
    """Of each target the accuracy of the class that is most frequent where probes are fitted."""
    probed: int
    """How many tokens the accuracies are of."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RecomputationFrame(ProtocolPart):
    """A spec computed once more, in float64 and by plain autograd: the one frame of a verification.

    Of a run that trains it is the first step, before any update.
    """

    type: Literal["recomputation"] = "recomputation"
    columns: Values
    """Every column and matrix of the run by metric, singular values of its Jacobian as rows; null where there is no
    value, or none within float64. Of CKA each layer has those before it. Early records have ten columns."""
    loss: float | None
    loss_unsure: float | None
    """What one rounding per layer in the run's type does to the loss, by passes whose states are disturbed."""
    unsure: Values
    """The same of the columns, (L): in decades where values span decades."""
    mean_law_error: float | None = None
    """Largest relative error of the stream mean law, where it is due."""
    identities: Values | None = None
    """Errors of exact relations by name, (L); null where a relation could not be evaluated. Early records have none.

    `adjoint_lost`, where present, is 1 in layers whose states or gradients are subnormal in float64."""
