"""The first frame of a record: what was measured, with which device and versions, and predictions for it."""

from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import Discriminator

from mhc_core.record.source import Source, SpecSource, TraceSource
from mhc_core.record.values import ProtocolPart, Row, Value


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost(ProtocolPart):
    """Predicted cost of a run."""

    parameters: int
    """Trainable values of the stack."""
    flops: int
    """Additions and multiplications of forward, backward and measurement."""
    bytes_moved: int
    """Bytes that forward and backward read and write."""
    peak_bytes: int
    """Largest memory of the process, libraries included."""
    seconds: float | None = None
    """Time on one core; only in records of early versions, as it differs from machine to machine."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Device(ProtocolPart):
    """The device that computed."""

    type: str
    """`cpu` or `cuda`."""
    name: str
    """The name that its maker gave it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Versions(ProtocolPart):
    """Versions of what measured."""

    mhc_scope: str
    torch: str
    numpy: str
    numerics: int | None = None
    """Version of the numerics of a run, which is part of its id; a trace has none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TextInput(ProtocolPart):
    """UTF-8 bytes of a text."""

    kind: Literal["text"]
    bytes: int
    """Bytes of the text."""
    bytes_used: int
    """Bytes that the batch reads."""
    repeated: float
    """How often a text shorter than a window was repeated."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CorpusInput(ProtocolPart):
    """UTF-8 bytes of the text that comes with the package."""

    kind: Literal["corpus"]
    dataset: str
    """Where the text comes from."""
    licence: str
    training_bytes: int
    """Bytes that training reads."""
    held_out_bytes: int
    """Bytes after them, which training never reads: measured passes do."""
    bytes_used: int
    """Bytes that the measured batch reads."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DrawnInput(ProtocolPart):
    """Vectors drawn at random."""

    kind: Literal["gaussian", "correlated"]


@dataclass(frozen=True, slots=True, kw_only=True)
class DigitsInput(ProtocolPart):
    """Images of handwritten digits."""

    kind: Literal["digits"]
    dataset: str
    """Where the images come from."""
    licence: str
    images: int
    """Images of the data set."""
    drawn: list[int]
    """Which of them are in the batch."""
    digits: list[int]
    """What these show."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CapturedInput(ProtocolPart):
    """What someone gave a model of their own."""

    kind: Literal["captured"] = "captured"
    samples: int
    """Tokens of all sequences, without padding where the model was given a mask; 0 of weights that were not run."""


Input = Annotated[TextInput | CorpusInput | DrawnInput | DigitsInput | CapturedInput, Discriminator("kind")]


@dataclass(frozen=True, slots=True, kw_only=True)
class CkaEstimator(ProtocolPart):
    """How CKA was estimated."""

    estimator: str
    """`unbiased` or `biased`."""
    samples: int
    """Samples of each layer that were compared."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Law(ProtocolPart):
    """A curve of theory for one metric, to eight digits; null where beyond float64."""

    law: str
    """Key of the law."""
    metric: str
    """Key of the metric that it predicts."""
    values: list[float | None]
    """Median over draws, (L)."""
    low: list[float | None]
    """Lower end of the band, (L)."""
    high: list[float | None]
    """Upper end of the band, (L)."""
    values_log10: list[float | None] | None
    """The logarithms where the metric spans decades, else null; so are the following two."""
    low_log10: list[float | None] | None
    high_log10: list[float | None] | None
    formula: str
    source: str
    """Where the law comes from."""
    holds: str
    """When it holds, in one sentence."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MissingPremise(ProtocolPart):
    """A premise that the spec does not meet, for which no law predicts a metric."""

    field: str
    """Path of the field of the spec."""
    got: str | float | int | bool | None
    """What it holds."""
    wanted: str
    """What the law wants of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Drift(ProtocolPart):
    """Raw parameters behind static residual mixing, at any drift: those of layer l are origin + noise * draws[l]."""

    origin: Row
    """Where they start, (m), the same in every layer."""
    draws: Value
    """Standard normal draws, (L, m), float32."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StartFrame(ProtocolPart):
    """What was measured. A run has a `spec`; a trace has a `source` instead, and knows of nothing below `input`."""

    type: Literal["start"] = "start"
    spec: dict[str, Any] | None = None
    """The spec of a run in its canonical form."""
    source: TraceSource | None = None
    """Where a trace comes from."""
    cost: Cost | None = None
    """Predicted cost of a run."""
    device: Device
    versions: Versions
    layers: int
    """L, one for each residual branch."""
    streams: int
    """n, parallel residual streams."""
    width: int | None = None
    """C, features of a stream, or of all parts where streams are parts of the width; early records do not say."""
    blocks: list[str]
    """What each layer's branch is, (L)."""
    input: Input
    """What the stack or the model was given."""
    cka: CkaEstimator | None = None
    """How CKA was estimated; early records and traces do not say."""
    theory: list[Law] | None = None
    """Laws whose premises the spec meets."""
    drift: Drift | None = None
    """Of a run with static mixing that drifts and is not trained; early records do not say."""
    no_law: dict[str, MissingPremise] | None = None
    """By metric that some law speaks of and none that applies: the premise that is not met."""

    def get_source(self) -> Source:
        """Return the source of the record in one form: a spec or a trace."""
        if self.source is not None:
            return self.source
        assert self.spec is not None, "a start frame has a spec or a source"
        return SpecSource(spec=self.spec)
