"""Writes `static/protocol.d.ts`, the frames as the page's modules see them. `make types` runs it.

A JSON schema that pydantic writes has few shapes, so each is one line here; one that is new stops the script.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mhc_core.record.schema import build_schemas

TARGET = Path(__file__).resolve().parent.parent / "static" / "protocol.d.ts"
HEAD = "/** The frames of a record. Written by `make types` from `mhc_core/record`; changes belong there. */\n"
LINE_LENGTH = 120
PLAIN = {"string": "string", "number": "number", "integer": "number", "boolean": "boolean", "null": "null"}
# The page knows specs by paths of fields, which the server's schema lists.
SPEC = "\nexport type RunSpec = Record<string, unknown>;\n"


def describe() -> str:
    """The whole file."""
    schemas = build_schemas("{model}")
    return HEAD + SPEC + "".join(_declare(name, schema) for name, schema in schemas.items())


def _declare(name: str, schema: dict[str, Any]) -> str:
    text = f"\n{_comment(schema)}"
    if "properties" not in schema:
        return text + _fold(f"export type {name} =", _list_types(schema)) + "\n"
    fields = "".join(f"{line}\n" for line in _list_fields(schema))
    return f"{text}export interface {name} {{\n{fields}}}\n"


def _list_fields(schema: dict[str, Any]) -> Iterator[str]:
    for name, field in schema["properties"].items():
        yield from (f"  {line}" for line in _comment(field).splitlines())
        mark = "" if name in schema["required"] else "?"
        yield f"  {name}{mark}: {_type(field)};"


def _comment(schema: dict[str, Any]) -> str:
    return f"/** {schema['description']} */\n" if "description" in schema else ""


def _type(schema: dict[str, Any]) -> str:
    return " | ".join(_list_types(schema))


def _list_types(schema: dict[str, Any]) -> list[str]:
    """The types that a value may have."""
    if "$ref" in schema:
        return [schema["$ref"]]
    if "const" in schema or "enum" in schema:
        return [_quote(item) for item in schema.get("enum", [schema.get("const")])]
    if options := schema.get("anyOf", schema.get("oneOf")):
        return list(dict.fromkeys(kind for option in options for kind in _list_types(option)))
    if schema["type"] == "array":
        item = _type(schema["items"])
        return [f"({item})[]" if " | " in item else f"{item}[]"]
    if schema["type"] == "object":
        inner = schema["additionalProperties"]
        return ["Record<string, unknown>" if inner is True else f"Record<string, {_type(inner)}>"]
    return [PLAIN[schema["type"]]]


def _quote(text: str) -> str:
    return "'" + json.dumps(text)[1:-1] + "'"


def _fold(head: str, options: list[str]) -> str:
    """A type on one line, or a line for each option where it is too long."""
    line = f"{head} {' | '.join(options)};"
    return line if len(line) <= LINE_LENGTH else head + "".join(f"\n  | {option}" for option in options) + ";"


if __name__ == "__main__":
    TARGET.parent.mkdir(exist_ok=True)
    TARGET.write_text(describe())
