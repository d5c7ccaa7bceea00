"""What every part of a spec shares: strictness, and how a field describes its control."""

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import BaseModel, ConfigDict

POSITIVE = ">0"  # a condition of `applies`, next to a tuple of values

# Conditions by the dotted path of a field: all of them must hold.
Conditions = Mapping[str, Sequence[str] | str]


def control(
    kind: str,
    *,
    unit: str = "",
    step: float | None = None,
    applies: Conditions | Sequence[Conditions] = (),
    later: bool = False,
) -> dict:
    """Return extra JSON-schema keys that the page reads: the control, its unit and step, and when the field applies.

    `applies` holds conditions, or several alternatives of them; the schema has a list of alternatives. A field that
    does not apply is dropped from the canonical form, so nothing may read it then.
    `later` marks a field that came after ids had been given out: at its default it leaves no trace in an id.
    """
    extra: dict[str, Any] = {"control": kind, "unit": unit}
    if later:
        extra["later"] = True
    if step is not None:
        extra["step"] = step
    if applies:
        alternatives = [applies] if isinstance(applies, Mapping) else applies
        extra["applies"] = [
            {path: rule if rule == POSITIVE else list(rule) for path, rule in conditions.items()}
            for conditions in alternatives
        ]
    return extra


class SpecPart(BaseModel):
    """Frozen and strict: no unknown fields, no numbers that are not finite, no type for another."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid", allow_inf_nan=False)
