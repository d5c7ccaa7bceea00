"""Bodies for operators and their tools."""

from typing import Literal

from pydantic import BaseModel, Field


class LivenessBody(BaseModel):
    """The process answers."""

    status: Literal["alive"]


class ReadinessBody(BaseModel):
    """Whether runs can be taken."""

    status: Literal["ready", "not ready"]
    workers: int = Field(description="Workers that have warmed up.")
    waiting: int = Field(description="Runs in the queue.")
