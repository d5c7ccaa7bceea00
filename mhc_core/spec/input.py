"""The input of a spec: what enters the stack."""

from typing import Literal

from pydantic import Field

from mhc_core.spec.default_text import DEFAULT_TEXT
from mhc_core.spec.part import SpecPart, control

InputKind = Literal["text", "corpus", "gaussian", "correlated", "digits"]
# Inputs whose tokens are bytes, with the prediction of the next byte as the loss.
BYTE_INPUTS = ("text", "corpus")


class InputSpec(SpecPart):
    """What enters the stack, and with it the loss."""

    kind: InputKind = Field(
        "text",
        title="Input",
        description="text: UTF-8 bytes through an embedding, next-byte cross-entropy. corpus: the same for 1.1 MB of "
        "Shakespeare; measured passes read its last tenth, which training never sees, so their loss is a validation "
        "loss. gaussian: N(0, 1), a fixed random linear read-out as the loss. correlated: the same, but every two "
        "tokens have a chosen correlation. digits: handwritten digits of 8 x 8 pixels, a token each, and the loss of "
        "telling which digit it is.",
        json_schema_extra=control("select"),
    )
    text: str = Field(
        DEFAULT_TEXT,
        min_length=1,
        max_length=500_000,
        title="Text",
        description="Any text. Windows of tokens + 1 bytes are spread evenly over it; a shorter text is repeated.",
        json_schema_extra=control("text", unit="characters", applies={"input.kind": ("text",)}),
    )
    correlation: float = Field(
        0.5,
        ge=0.0,
        le=1.0,
        title="Token correlation",
        description="Correlation of every two tokens; 0 is gaussian, 1 makes all tokens the same.",
        json_schema_extra=control("slider", step=0.05, applies={"input.kind": ("correlated",)}),
    )
    batch: int = Field(
        2, ge=1, le=64, title="Batch", description="Sequences.", json_schema_extra=control("number", step=1)
    )
    tokens: int = Field(
        64,
        ge=2,
        le=1024,
        title="Tokens",
        description="Tokens per sequence.",
        json_schema_extra=control("number", step=1),
    )
