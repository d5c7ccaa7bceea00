"""The source of a record: a spec that was computed here, or someone's own model that was traced."""

from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import Discriminator, TypeAdapter

from mhc_core.record.values import ProtocolPart
from mhc_core.spec import FAMILIES

TRACE = "trace"
"""The method of a trace, which has no kind of connection."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SpecSource(ProtocolPart):
    """A spec that was computed."""

    kind: Literal["spec"] = "spec"
    spec: dict[str, Any]
    """The spec in its canonical form: fields that do not apply are left out."""

    @property
    def label(self) -> str:
        """Return the name of the connection, or its kind if the package that adds it is not installed here."""
        family = FAMILIES.get(self.method)
        return self.method if family is None else family.name

    @property
    def method(self) -> str:
        """Return the kind of connection."""
        return self.spec["connection"]["kind"]

    @property
    def train_steps(self) -> int:
        """Return the number of training steps that the spec requests; 0 for specs of early versions."""
        return self.spec.get("train", {}).get("steps", 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Model(ProtocolPart):
    """The model that a trace was taken of."""

    name: str
    """Name of its class."""
    parameters: int
    """Trainable and frozen values together."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TraceSource(ProtocolPart):
    """A trace of a model from elsewhere."""

    kind: Literal["trace"] = "trace"
    model: Model
    """What was traced."""
    versions: dict[str, str]
    """Versions of the libraries that the model is made of, by name."""
    edits: list[dict[str, Any]] | None = None
    """The edits with which it ran, as those of a spec; only where there were any."""

    @property
    def label(self) -> str:
        """Return the model's name."""
        return self.model.name

    @property
    def method(self) -> str:
        """Return `TRACE`, because a trace has no kind of connection."""
        return TRACE

    @property
    def train_steps(self) -> int:
        """Return 0: a trace does not say in advance how many training steps it will have."""
        return 0


Source = SpecSource | TraceSource
_SOURCE: TypeAdapter[Source] = TypeAdapter(Annotated[Source, Discriminator("kind")])


def parse_source(data: dict[str, Any]) -> Source:
    """Parse a source from plain data, as `codec.to_plain` returns it.

    Raises
    ------
    ValueError
        If it is not a source.
    """
    return _SOURCE.validate_python(data)
