"""The rules of a spec that connect several fields, as JSON Schema, so that the schema contains all of validation."""

from collections.abc import Sequence
from typing import Any, get_args

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from mhc_core.families import FAMILIES

Schema = dict[str, Any]


def add_rules(schema: Schema, spec: type[BaseModel]) -> None:
    """Add the rules that connect several fields to the JSON schema of a spec. A test compares it with `parse_spec`."""
    at = _Fields(spec)
    grid = {"enum": [side * side for side in range(2, 33)]}
    untrained = at.ask("train.steps", {"const": 0})
    schema["allOf"] = [
        at.where("block.kind", ["transformer"], at.divide("block.heads", range(1, 65))),
        at.where("block.kind", ["conv", "pair"], at.ask("input.tokens", grid)),
        at.where("block.scaling", ["deepnorm"], at.ask("block.norm_position", {"const": "post"})),
        at.where("block.scaling", ["layernorm_scaling"], at.ask("block.norm_position", {"const": "pre"})),
        at.where("input.kind", ["digits"], at.ask("input.tokens", {"const": 64})),
        at.where("input.kind", ["gaussian", "correlated"], untrained),
        {"anyOf": [at.ask("seeds", {"const": 1}), untrained]},
        {"anyOf": [at.ask("input.batch", {"minimum": 2}), at.ask("input.tokens", {"minimum": 4})]},
    ]
    for kind in (kind for kind, family in FAMILIES.items() if family.attends):
        schema["allOf"].append(at.where("connection.kind", [kind], at.divide("connection.depth_heads", range(1, 65))))
    for kind, family in FAMILIES.items():
        counts = [n for n in range(1, 17) if family.rule(n, n) is None]
        if any(family.rule(n, 1) for n in counts):
            schema["allOf"].append(at.where("connection.kind", [kind], at.divide("connection.streams", counts)))
        elif len(counts) < 16:
            schema["allOf"].append(at.where("connection.kind", [kind], at.ask("connection.streams", {"enum": counts})))


class _Fields:
    """Builds JSON schemas for conditions on fields, by their dotted names. A field that is omitted has its default."""

    def __init__(self, spec: type[BaseModel]) -> None:
        self._spec = spec

    def ask(self, path: str, wanted: Schema) -> Schema:
        """Return the JSON schema of "the field at `path` meets `wanted`", where `wanted` is a schema of one keyword."""
        rule = wanted
        is_needed = not _meets_schema(self._find(path).default, wanted)
        for name in reversed(path.split(".")):
            rule = {"properties": {name: rule}} | ({"required": [name]} if is_needed else {})
        return rule

    def where(self, path: str, values: Sequence[str], then: Schema) -> Schema:
        """Return the JSON schema of "if the field at `path` has one of these values, `then` holds"."""
        others = [value for value in get_args(self._find(path).annotation) if value not in values]
        return {"anyOf": [self.ask(path, {"enum": others}), then]}

    def divide(self, path: str, values: Sequence[int]) -> Schema:
        """Return the JSON schema of "the field at `path` has one of these values, and divides the width"."""
        return {"anyOf": [_join(self.ask(path, {"const": n}), self.ask("width", {"multipleOf": n})) for n in values]}

    def _find(self, path: str) -> FieldInfo:
        """Return pydantic's description of a field of the spec, by its path."""
        *parts, name = path.split(".")
        model: Any = self._spec
        for part in parts:
            model = model.model_fields[part].annotation
        return model.model_fields[name]


def _join(one: Schema, other: Schema) -> Schema:
    """Return a JSON schema that requires two conditions on fields of different parts."""
    needed = [*one.get("required", ()), *other.get("required", ())]
    return {"properties": one["properties"] | other["properties"]} | ({"required": needed} if needed else {})


def _meets_schema(value: Any, wanted: Schema) -> bool:
    """Return whether a value meets a schema of one keyword."""
    ((keyword, bound),) = wanted.items()
    match keyword:
        case "const":
            return bool(value == bound)
        case "enum":
            return value in bound
        case "minimum":
            return bool(value >= bound)
        case "multipleOf":
            return bool(value % bound == 0)
    raise ValueError(keyword)
