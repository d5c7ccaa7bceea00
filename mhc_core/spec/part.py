"""The base class of all parts of a spec, and the description of a field's control for the page."""

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import BaseModel, ConfigDict

POSITIVE = ">0"  # in a condition of `applies`, instead of a tuple of values

# Conditions by the dotted path of a field. All of them must hold.
Conditions = Mapping[str, Sequence[str] | str]


def control(
    kind: str,
    *,
    unit: str = "",
    step: float | None = None,
    applies: Conditions | Sequence[Conditions] = (),
    later: bool = False,
) -> dict:
    """Return additional JSON-schema keys for the page: the control, its unit and step, and when the field applies.

    applies: conditions under which the field applies, or a list of alternatives; the schema always has a list. By
    default it always applies. A field that does not apply is omitted from the canonical form, so no code may read it.
    later: whether the field was added after ids had been published. With its default value, such a field does not
    change an id.
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
