"""The last two frames of a record: its summary in words, and how it ended."""

from dataclasses import dataclass
from typing import Literal

from mhc_core.record.values import ProtocolPart

EndStatus = Literal["done", "failed", "cancelled"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Headline(ProtocolPart):
    """The one number that stands for a record."""

    label: str
    """What it is."""
    value: float | None
    """Null where beyond float64."""
    log10: float | None
    text: str
    """As people read it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding(ProtocolPart):
    """One sentence, made from its numbers."""

    key: str
    """Kind of finding."""
    text: str
    panel: str
    """Key of the panel that shows it."""
    numbers: dict[str, float | int | None]
    """What the sentence says, by name."""
    statement: str | None = None
    """The end of `text`, without the words that name the edits; only of the finding on the effect of edits."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Story(ProtocolPart):
    """What is known in words at one step of a trace that grows."""

    headline: Headline
    findings: list[Finding]
    """Alarms first, then what was recorded, then the record's own story."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SummaryFrame(ProtocolPart):
    """The record in words."""

    type: Literal["summary"] = "summary"
    headline: Headline
    findings: list[Finding]
    """The record's own story first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EndFrame(ProtocolPart):
    """How it ended. The engine appends it; nothing follows."""

    type: Literal["end"] = "end"
    status: EndStatus
    reason: str | None
    """Why, where it failed."""
