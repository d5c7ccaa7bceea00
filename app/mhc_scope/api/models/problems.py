"""Define bodies of problems."""

from typing import Any

from pydantic import BaseModel, ConfigDict, Field


class FieldError(BaseModel):
    """Name one invalid field, the value received and the values allowed."""

    field: str = Field(description="Its dotted path.")
    got: Any = Field(description="The value received, shortened.")
    wanted: str


class ProblemBody(BaseModel):
    """Report an error in the format of RFC 9457."""

    model_config = ConfigDict(title="Problem")

    type: str = Field(description="Address of the description of this kind of problem.")
    title: str
    status: int
    detail: str
    instance: str = Field(description="The requested path.")
    errors: list[FieldError]
