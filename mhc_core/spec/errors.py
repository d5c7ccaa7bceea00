"""A user's mistakes in a spec, in our words: which field, what was got, what is wanted."""

from typing import Any

from pydantic import ValidationError


class SpecError(ValueError):
    """A user's mistake in a spec: which field, what was got, what is wanted."""

    def __init__(self, field: str, got: Any, wanted: str) -> None:
        self.field, self.got, self.wanted = field, got, wanted
        super().__init__(f"{field}: got {_shorten(got)}, wanted {wanted}")


class SpecErrors(ValueError):
    """Every mistake found in one spec, as `SpecError` items in `.errors`."""

    def __init__(self, errors: list[SpecError]) -> None:
        self.errors = errors
        super().__init__("; ".join(str(error) for error in errors))


def to_spec_errors(error: ValidationError, schema: dict[str, Any]) -> SpecErrors:
    """What pydantic found, with the limits that the JSON schema gives."""
    return SpecErrors([_to_spec_error(item, schema) for item in error.errors(include_url=False)])


def _to_spec_error(item: Any, schema: dict[str, Any]) -> SpecError:
    inner = item.get("ctx", {}).get("error")
    if isinstance(inner, SpecError):
        return inner
    if item["type"] == "json_invalid":
        return SpecError("body", item["ctx"]["error"], "JSON in UTF-8")
    field = ".".join(str(part) for part in item["loc"])
    return SpecError(field or "body", item["input"], _wanted(item, field, schema))


def _wanted(item: Any, field: str, schema: dict[str, Any]) -> str:
    if item["type"] == "extra_forbidden":
        parent = _find_schema(field.rpartition(".")[0], schema)
        return f"one of the known fields: {', '.join(parent['properties'])}"
    return _describe_allowed(_find_schema(field, schema))


def _find_schema(field: str, root: dict[str, Any]) -> dict[str, Any]:
    """The JSON schema of a field by its dotted name, of the spec itself by ""."""
    schema = root
    for name in filter(None, field.split(".")):
        schema = schema["properties"].get(name, schema) if "properties" in schema else schema
        if "$ref" in schema:
            schema = root["$defs"][schema["$ref"].rpartition("/")[2]]
    return schema


def _describe_allowed(schema: dict[str, Any]) -> str:
    """What a field takes, in words with its limits."""
    if "enum" in schema:
        return f"one of {', '.join(schema['enum'])}"
    kind = schema["type"]
    if kind == "string":
        return f"text of {schema['minLength']} to {schema['maxLength']} characters"
    if kind in ("integer", "number"):
        name = "an integer" if kind == "integer" else "a finite number"
        if "exclusiveMinimum" in schema:
            return f"{name} above {schema['exclusiveMinimum']:g} and at most {schema['maximum']:g}"
        return f"{name} from {schema['minimum']} to {schema['maximum']}"
    return {"boolean": "true or false", "object": "an object"}[kind]


def _shorten(value: Any, limit: int = 60) -> str:
    text = repr(value)
    return text if len(text) <= limit else f"{text[:limit]}… ({len(text)} characters)"
