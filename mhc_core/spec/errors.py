"""Errors for a user's mistakes: the field, the received value, the allowed values, and for specs a sentence."""

import re
from typing import Any

from pydantic import ValidationError

WHOLE = re.compile(r"(?<=\d)\.0\b")  # the end of a whole float, such as 10.0

# Type of an error of pydantic -> the values that are allowed; the names in braces are from the error's context.
WANTED = {
    "missing": "a value: this field is required",
    "extra_forbidden": "no field of this name",
    "int_type": "an integer",
    "int_parsing": "an integer",
    "int_from_float": "an integer",
    "int_parsing_size": "an integer of fewer digits",
    "float_type": "a number",
    "float_parsing": "a number",
    "finite_number": "a finite number",
    "bool_type": "true or false",
    "bool_parsing": "true or false",
    "string_type": "a string",
    "list_type": "a list",
    "model_type": "an object",
    "dataclass_type": "an object",
    "dict_type": "an object",
    "literal_error": "one of {expected}",
    "too_short": "a list of at least {min_length}",
    "too_long": "a list of at most {max_length}",
    "string_too_short": "text with a length of at least {min_length}",
    "string_too_long": "text of at most {max_length} characters",
    "greater_than": "a number above {gt:g}",
    "greater_than_equal": "a number of at least {ge:g}",
    "less_than": "a number below {lt:g}",
    "less_than_equal": "a number of at most {le:g}",
    "json_invalid": "JSON in UTF-8",
}


class SpecError(ValueError):
    """A user's mistake: the field, the received value (`got`), and a text for the allowed values (`wanted`).

    text: a sentence for people; by default it is made from these three.
    """

    def __init__(self, field: str, got: Any, wanted: str, text: str | None = None) -> None:
        self.field, self.got, self.wanted, self.text = field, got, wanted, text
        super().__init__(text or f"{field}: got {_shorten_value(got)}, wanted {wanted}")

    def describe(self) -> str:
        """Return a line for a command line, which always has the field's path and the received value."""
        got = "nothing" if self.got is None else _shorten_value(self.got)
        return f"{self.field}: got {got}. {self.text}" if self.text else str(self)

    def under(self, path: str) -> "SpecError":
        """Return the same error with a path before its field, for a spec that is a part of another document."""
        return SpecError(f"{path}.{self.field}".rstrip("."), self.got, self.wanted, self.text)


class SpecErrors(ValueError):
    """All mistakes in one spec, as `SpecError` items in `.errors`."""

    def __init__(self, errors: list[SpecError]) -> None:
        self.errors = errors
        sentences = list(dict.fromkeys(map(str, errors)))
        super().__init__((" " if all(text.endswith(".") for text in sentences) else "; ").join(sentences))


def to_spec_errors(error: ValidationError, schema: dict[str, Any]) -> SpecErrors:
    """Convert pydantic's errors to SpecErrors, with the limits from the JSON schema."""
    items = error.errors(include_url=False)
    parents = {item["loc"][:-1] for item in items}
    # pydantic also calls a list too short if its first item is wrong
    kept = [item for item in items if item["type"] != "too_short" or item["loc"] not in parents]
    return SpecErrors([_to_spec_error(item, schema) for item in kept])


def _to_spec_error(item: Any, schema: dict[str, Any]) -> SpecError:
    """Convert an error of pydantic to a SpecError."""
    inner = item.get("ctx", {}).get("error")
    if isinstance(inner, SpecError):
        return inner
    if item["type"] == "json_invalid":
        why = item["ctx"]["error"]
        return SpecError("body", why, "JSON in UTF-8", f"A spec is JSON in UTF-8: {why}.")
    field = ".".join(str(part) for part in item["loc"])
    if item["type"] == "extra_forbidden":
        parent = _find_schema(field.rpartition(".")[0], schema)
        known = ", ".join(parent["properties"])
        return SpecError(
            field, item["input"], f"one of the known fields: {known}", f"Unknown field {field}. Known fields: {known}."
        )
    found = _find_schema(field, schema)
    wanted = _describe_allowed(found)
    is_named = found.get("type") != "object" and "title" in found
    title = "A spec" if not field else found["title"] if is_named else field
    got = None if item["type"] == "missing" else item["input"]  # of a missing field pydantic's input is the whole part
    return SpecError(field or "body", got, wanted, f"{title} {_to_words(wanted)}.")


def to_plain_error(field: str, item: Any) -> SpecError:
    """Convert an error of pydantic to a SpecError by its type, for data that is not a spec.

    The type knows only the limit that a value exceeds. The schema knows both, so specs use it instead.
    """
    kind, context = item["type"], item.get("ctx", {})
    wanted = WANTED[kind].format(**context) if kind in WANTED else item["msg"]
    got = {"missing": None, "json_invalid": context.get("error")}.get(kind, item.get("input"))
    return SpecError(field, got, wanted)


def _to_words(wanted: str) -> str:
    """Convert a text for allowed values to the end of a sentence for users."""
    if wanted.startswith("text of "):
        return f"must have {wanted.removeprefix('text of ')}"
    plain = wanted.replace("an integer", "a whole number").replace("a finite number", "a number")
    return f"must be {re.sub(WHOLE, '', plain)}"


def list_divisors(number: int, most: int) -> str:
    """List the divisors of a number up to `most` as text, such as "1, 5, 13 or 65"."""
    *others, last = (str(divisor) for divisor in range(1, min(number, most) + 1) if number % divisor == 0)
    return f"{', '.join(others)} or {last}" if others else last


def _find_schema(field: str, root: dict[str, Any]) -> dict[str, Any]:
    """Return the JSON schema of a field by its dotted name; "" is the spec itself."""
    schema = root
    for name in filter(None, field.split(".")):
        schema = _drop_null(schema)
        if "properties" in schema:
            schema = schema["properties"].get(name, schema)
        elif schema.get("type") == "array":
            schema = schema["items"] if "items" in schema else schema["prefixItems"][min(int(name), 1)]
        if "$ref" in schema:
            schema = root["$defs"][schema["$ref"].rpartition("/")[2]]
    return schema


def _drop_null(schema: dict[str, Any]) -> dict[str, Any]:
    """Return the schema of the values of a field that may also be null."""
    return next((one for one in schema.get("anyOf", ()) if one != {"type": "null"}), schema)


def _describe_allowed(schema: dict[str, Any]) -> str:
    """Return a text for the values that the schema of a field allows, with their limits."""
    schema = _drop_null(schema)
    if "enum" in schema:
        return f"one of {', '.join(schema['enum'])}"
    kind = schema["type"]
    if kind == "array":
        least, most = schema.get("minItems", 0), schema["maxItems"]
        return f"a list of {least}" if least == most else f"a list of {least} to {most}"
    if kind == "string":
        return f"text of {schema['minLength']} to {schema['maxLength']} characters"
    if kind in ("integer", "number"):
        name = "an integer" if kind == "integer" else "a finite number"
        if "exclusiveMinimum" in schema:
            return f"{name} above {schema['exclusiveMinimum']:g} and at most {schema['maximum']:g}"
        most = f" to {schema['maximum']}" if "maximum" in schema else " on"
        return f"{name} from {schema['minimum']}{most}" if "minimum" in schema else name
    return {"boolean": "true or false", "object": "an object"}[kind]


def _shorten_value(value: Any, limit: int = 60) -> str:
    """Return a received value as a short text for an error."""
    text = repr(value)
    return text if len(text) <= limit else f"{text[:limit]}… ({len(text)} characters)"
