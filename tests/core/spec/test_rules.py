"""The JSON schema of a spec against its validation: what several fields must be together is said by both, alike."""

import json
import random
from collections.abc import Iterator
from functools import cache
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from mhc_core.family import _allow_any
from mhc_core.spec import CONNECTION_KINDS, FAMILIES, RunSpec, SpecErrors, parse_spec

SCHEMA = RunSpec.model_json_schema()
# Drawn more often, or no spec would break one of their rules alone.
RULED = [kind for kind, family in FAMILIES.items() if not family.has_mixing or family.rule is not _allow_any]
VALUES: dict[str, tuple[Any, ...]] = {
    "width": (4, 6, 7, 12, 64, 65, 4096),
    "seeds": (1, 2),
    "connection.kind": (*CONNECTION_KINDS, *(6 * RULED)),
    "connection.streams": tuple(range(1, 17)),
    "connection.depth_heads": (1, 2, 3, 4, 5, 64),
    "block.kind": ("mlp", "transformer", "conv", "pair"),
    "block.heads": (1, 2, 3, 4, 5, 16, 63, 64),
    "block.scaling": ("constant", "rezero", "deepnorm", "layernorm_scaling"),
    "block.norm_position": ("pre", "post", "none"),
    "input.kind": ("text", "gaussian", "correlated", "digits"),
    "input.batch": (1, 2, 64),
    "input.tokens": (2, 3, 4, 5, 9, 63, 64, 1024),
    "train.steps": (0, 1, 5000),
}
CASES = 2000


def draw_specs() -> Iterator[dict[str, Any]]:
    """Specs of two to five fields, any of which may break a rule with another."""
    drawn = random.Random(5)
    for _ in range(CASES):
        spec: dict[str, Any] = {}
        for path in drawn.sample(sorted(VALUES), drawn.randint(2, 5)):
            part, _, name = path.rpartition(".")
            (spec.setdefault(part, {}) if part else spec)[name] = drawn.choice(VALUES[path])
        yield spec


def is_taken(spec: dict[str, Any]) -> bool:
    """Whether validation takes a spec."""
    try:
        parse_spec(spec)
    except SpecErrors:
        return False
    return True


@cache
def list_rules() -> list[Draft202012Validator]:
    """The rules of the schema, and all else in it, each as a schema of its own."""
    rest = {name: value for name, value in SCHEMA.items() if name != "allOf"}
    return [Draft202012Validator(schema) for schema in (*SCHEMA["allOf"], rest)]


@cache
def judge_specs() -> list[tuple[dict[str, Any], bool, set[int]]]:
    """Each spec, whether validation takes it, and the places of the rules that it breaks."""
    return [
        (spec, is_taken(spec), {index for index, rule in enumerate(list_rules()) if not rule.is_valid(spec)})
        for spec in draw_specs()
    ]


def test_the_schema_says_what_validation_asks_of_fields_together() -> None:
    assert "$ref" not in json.dumps(SCHEMA["allOf"]), "a rule can be used without the other definitions"
    assert [spec for spec, taken, broken in judge_specs() if taken == bool(broken)] == []
    refused = sum(not taken for _, taken, _ in judge_specs())
    assert CASES / 4 < refused < 3 * CASES / 4


@pytest.mark.parametrize("rule", range(len(SCHEMA["allOf"])))
def test_no_rule_of_the_schema_is_idle(rule: int) -> None:
    assert any(broken == {rule} for _, taken, broken in judge_specs() if not taken)
