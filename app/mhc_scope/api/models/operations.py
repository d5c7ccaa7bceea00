"""Bodies for operators and their tools."""

from typing import Literal

from pydantic import BaseModel, Field


class LivenessBody(BaseModel):
    """The process answers."""

    status: Literal["alive"]


class ReadinessCheckBody(BaseModel):
    """One thing that was looked at."""

    ok: bool
    why: str | None = Field(description="What is wrong; null where nothing is.")
    needed: bool = Field(description="Whether no runs can be taken where it is not well.")


class ReadinessBody(BaseModel):
    """Whether runs can be taken."""

    status: Literal["ready", "not ready"]
    checks: dict[str, ReadinessCheckBody] = Field(
        description="`database`: a row could be written, in the last ten seconds. `room`: there is some, on the disk "
        "and below the cap. `runs`: none is said to be computed that no server computes. `workers`: one is warm. "
        "`accepting`: the server is not stopping."
    )
    used_bytes: int | None = Field(description="Of the database; null where it did not answer.")
    free_bytes: int | None = Field(description="On the disk of the database; null where that is another machine's.")
    workers: int = Field(description="Workers that have warmed up.")
    waiting: int = Field(description="Runs in the queue.")
    running: int = Field(description="Runs being computed here.")
    streams: int = Field(description="Event streams open.")
    frames_stored: int = Field(description="Frames stored since the start.")
    ended: dict[str, int] = Field(description="Runs that have ended here since the start, by status.")
