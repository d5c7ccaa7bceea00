"""Bodies of traces."""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from mhc_core.measure.twin import TwinSpec
from mhc_scope.api.models.links import Links, to_links

MAX_BATCH_BYTES = 2**24  # of frames that are sent together


class TraceBody(BaseModel):
    """Answer to a POST of a trace."""

    id: str = Field(description="Id of the record: a hash of its frames.")
    url: str = Field(description="Link to the page that shows it.")
    frames: int = Field(description="Frames that are stored, `end` among them.")
    links: Links

    @classmethod
    def build(cls, record_id: str, url: str, frames: int) -> "TraceBody":
        """From what was stored."""
        return cls(id=record_id, url=url, frames=frames, links=to_links(record_id))


class LiveTraceBody(BaseModel):
    """Answer to a POST that begins a live trace."""

    id: str
    token: str = Field(description="Whoever has it may write the trace; sent as `Authorization: Bearer TOKEN`.")
    url: str = Field(description="Link to the page that shows it while it grows.")
    due: int = Field(description="Index of the frame that comes next.")
    links: Links


class FedBody(BaseModel):
    """How far a live trace is."""

    id: str
    status: str
    due: int = Field(description="Index of the frame that comes next.")


class EndRequest(BaseModel):
    """How a live trace ended."""

    model_config = ConfigDict(extra="forbid", strict=True)

    status: Literal["done", "failed"]
    reason: str | None = Field(None, max_length=2000, description="Why, where it failed.")


class TwinBody(BaseModel):
    """A synthetic stack with the depth, streams, blocks and initialisation of a trace, as near as can be told."""

    id: str = Field(description="Id that a run of the spec has.")
    spec: dict[str, Any]
    unknown: list[str] = Field(description="What the record does not tell, and what the twin has instead; sentences.")

    @classmethod
    def build(cls, twin: TwinSpec) -> "TwinBody":
        """From the twin."""
        return cls(id=twin.spec.id, spec=twin.spec.canonical(), unknown=twin.unknown)
