"""Define the bodies of /livez and /readyz, for operators and their tools."""

from typing import Literal

from pydantic import BaseModel, Field


class LivenessBody(BaseModel):
    """State that the process answers."""

    status: Literal["alive"]


class ReadinessCheckBody(BaseModel):
    """Report the result of one check."""

    ok: bool
    why: str | None = Field(description="What is wrong; null where the check passes.")
    needed: bool = Field(description="Whether the server accepts no runs where this check fails.")


class ReadinessBody(BaseModel):
    """Report whether runs can be accepted."""

    status: Literal["ready", "not ready"]
    checks: dict[str, ReadinessCheckBody] = Field(
        description="`database`: a row could be written, in the last ten seconds. `room`: there is space, on the disk "
        "and below the cap. `runs`: each running one has a server that computes it. `workers`: one is warm. "
        "`accepting`: the server is not stopping."
    )
    used_bytes: int | None = Field(description="Size of the database; null where it did not answer.")
    free_bytes: int | None = Field(description="Free on the disk of the database; null where that is remote.")
    workers: int = Field(description="Workers that have warmed up.")
    waiting: int = Field(description="Runs in the queue.")
    running: int = Field(description="Runs being computed here.")
    streams: int = Field(description="Event streams open.")
    frames_stored: int = Field(description="Frames stored since the start.")
    ended: dict[str, int] = Field(description="Runs that have ended here since the start, by status.")
