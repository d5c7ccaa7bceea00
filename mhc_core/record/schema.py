"""The JSON schema of the protocol: one schema for each type of line in a record."""

from typing import Any

from mhc_core.record.frames import FRAME, FRAME_KINDS

REF = "#/$defs/{model}"
# Fields that all lines have, which the encoder adds.
HEAD = {
    "run": {"type": "string", "description": "Id of the record."},
    "index": {"type": "integer", "description": "Place of the frame in the record, from 0."},
}


def build_schemas(ref_template: str = REF) -> dict[str, dict[str, Any]]:
    """Build the JSON schemas of frames and their parts by name; `Frame` is any type of frame.

    The spec of a run is a reference to `RunSpec`, which is not included.
    """
    frame = FRAME.json_schema(ref_template=ref_template)
    schemas: dict[str, dict[str, Any]] = frame.pop("$defs")
    for schema in schemas.values():
        _drop_absent(schema)
        _drop_titles(schema)
    for kind in FRAME_KINDS.values():
        _add_head(schemas[kind.__name__])
    for schema in schemas.values():
        if "required" in schema:
            schema["required"] = [name for name in schema["properties"] if name in schema["required"]]
    start = schemas["StartFrame"]["properties"]
    start["spec"] = {"$ref": ref_template.format(model="RunSpec"), "description": start["spec"]["description"]}
    return {"Frame": {"description": "One line of a record.", **frame}, **schemas}


def _drop_absent(schema: dict[str, Any]) -> None:
    """Change the schema to what the encoder writes: fields with the default None are omitted instead of null, and
    fields with other defaults are always present.
    """
    for name, field in schema.get("properties", {}).items():
        if field.get("default", ...) is None:
            schema["properties"][name] = _without_null(field)
        elif "default" in field:
            del field["default"]
            schema["required"].append(name)


def _without_null(field: dict[str, Any]) -> dict[str, Any]:
    """Return the schema of an optional field without null and default."""
    kept = [option for option in field["anyOf"] if option != {"type": "null"}]
    rest = {key: value for key, value in field.items() if key not in ("anyOf", "default")}
    return {**kept[0], **rest} if len(kept) == 1 else {"anyOf": kept, **rest}


def _drop_titles(schema: dict[str, Any]) -> None:
    """Remove the titles of fields from a schema, because they only repeat the names of fields."""
    schema.pop("title", None)
    for field in schema.get("properties", {}).values():
        field.pop("title", None)


def _add_head(schema: dict[str, Any]) -> None:
    """Add the fields that all lines have, run and index, to the schema of a frame."""
    kind = schema["properties"].pop("type")
    schema["properties"] = HEAD | {"type": kind} | schema["properties"]
    schema["required"] += HEAD
