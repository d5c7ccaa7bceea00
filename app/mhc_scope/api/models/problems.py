"""Bodies of problems."""

from typing import Any

from pydantic import BaseModel, ConfigDict, Field


class FieldError(BaseModel):
    """What is wrong with one field."""

    field: str = Field(description="Its dotted path.")
    got: Any = Field(description="What it was, shortened.")
    wanted: str


class ProblemBody(BaseModel):
    """An error as RFC 9457 has it."""

    model_config = ConfigDict(title="Problem")

    type: str = Field(description="Where the kind of problem is described.")
    title: str
    status: int
    detail: str
    instance: str = Field(description="The path that was asked for.")
    errors: list[FieldError]
