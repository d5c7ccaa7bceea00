"""Define bodies of traces."""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from mhc_scope.api.models.links import Links

MAX_BATCH_BYTES = 2**24  # largest size of the frames in one request


class TraceBody(BaseModel):
    """Answer a POST of a trace."""

    id: str = Field(description="Id of the record: a hash of its frames.")
    url: str = Field(description="Link to the page that shows it.")
    frames: int = Field(description="Frames that are stored, `end` among them.")
    links: Links


class LiveTraceBody(BaseModel):
    """Answer a POST that creates a live trace."""

    id: str
    token: str = Field(description="Allows writing the trace; send it as `Authorization: Bearer TOKEN`.")
    url: str = Field(description="Link to the page that shows it while it grows.")
    due: int = Field(description="Index of the frame that comes next.")
    links: Links


class LiveTraceStateBody(BaseModel):
    """Report the progress of a live trace."""

    id: str
    status: str
    due: int = Field(description="Index of the frame that comes next.")


class EndRequest(BaseModel):
    """Close a live trace with its status."""

    model_config = ConfigDict(extra="forbid", strict=True)

    status: Literal["done", "failed"]
    reason: str | None = Field(None, max_length=2000, description="Why, where it failed.")


class TwinBody(BaseModel):
    """Return a stack with the depth, streams, blocks and initialisation of a trace, as far as they are known."""

    id: str = Field(description="Id that a run of the spec has.")
    spec: dict[str, Any]
    unknown: list[str] = Field(description="What the record lacks, and what the twin has instead; sentences.")
