"""Where a record comes from: a spec that was computed, or a trace that someone took of a model of their own."""

from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import Discriminator, TypeAdapter

from mhc_core.record.values import ProtocolPart
from mhc_core.spec import FAMILIES

TRACE = "trace"
"""What stands for a connection's kind where there is none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SpecSource(ProtocolPart):
    """A spec that was computed."""

    kind: Literal["spec"] = "spec"
    spec: dict[str, Any]
    """The spec in its canonical form: fields that do not apply are left out."""

    @property
    def label(self) -> str:
        """Return what joins the layers: its name, or its kind where the package that adds it is not installed here."""
        family = FAMILIES.get(self.method)
        return self.method if family is None else family.name

    @property
    def method(self) -> str:
        """Return the kind of connection."""
        kind: str = self.spec["connection"]["kind"]
        return kind

    @property
    def train_steps(self) -> int:
        """Return the number of training steps that the spec requests; 0 for specs of early versions."""
        steps: int = self.spec.get("train", {}).get("steps", 0)
        return steps


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
        """Return the kind under which a trace is shown; it has no connection's kind."""
        return TRACE

    @property
    def train_steps(self) -> int:
        """Return 0 training steps: a trace is of one pass."""
        return 0


Source = SpecSource | TraceSource
_SOURCE: TypeAdapter[Source] = TypeAdapter(Annotated[Source, Discriminator("kind")])


def parse_source(data: dict[str, Any]) -> Source:
    """Parse the source that `codec.to_plain` made plain data of.

    Raises
    ------
    ValueError
        If it is none.
    """
    return _SOURCE.validate_python(data)
