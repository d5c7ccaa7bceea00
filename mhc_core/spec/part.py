"""What every part of a spec shares: strictness, and how a field describes its control."""

from typing import Any

from pydantic import BaseModel, ConfigDict

POSITIVE = ">0"  # an `applies` condition, beside a tuple of values


def control(
    kind: str,
    *,
    unit: str = "",
    step: float | None = None,
    applies: dict[str, Any] | None = None,
    later: bool = False,
) -> dict:
    """Extra JSON-schema keys that the page reads: the control, its unit and step, and when the field applies.

    `later` marks a field that came after ids had been given out: at its default it leaves no trace in an id.
    """
    extra: dict[str, Any] = {"control": kind, "unit": unit}
    if later:
        extra["later"] = True
    if step is not None:
        extra["step"] = step
    if applies is not None:
        extra["applies"] = {path: rule if rule == POSITIVE else list(rule) for path, rule in applies.items()}
    return extra


class Part(BaseModel):
    """Frozen and strict: no unknown fields, no numbers that are not finite, no type for another."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid", allow_inf_nan=False)
