"""The thirty specs meet all that a spec of that release could ask for, and their ids are those that were given out."""

import json
from collections.abc import Iterator
from functools import reduce
from operator import getitem
from pathlib import Path
from typing import Any

import pytest

from mhc_core.figures.style import MAX_RUNS
from mhc_core.spec import CONNECTION_KINDS, FAMILIES, RunSpec, parse_spec, run_spec
from tests.contract.specs import COMPARISONS, SPECS

IDS = json.loads((Path(__file__).parent / "data" / "ids.json").read_text())
# The connections of that release. Later ones have no id of it and cannot join the thirty; tests of the core run them.
RELEASED_KINDS = (
    "none", "residual", "hc", "mhc", "mhc_lite", "kromhc", "orthostochastic", "identity_hc", "frac",
)  # fmt: skip
# Devices that a test machine may lack, what `auto` stands for anyhow, and what came after these thirty.
NOT_MET = {
    "connection.kind": set(CONNECTION_KINDS) - set(RELEASED_KINDS),
    "device": {"cpu", "cuda"},
    "input.kind": {"corpus"},
    "connection.output": {"mean"},
    "connection.init": {"c_mhc", "hy_v4"},
    "connection.expand": {"scaled"},
    "connection.read_from": {"previous"},
    "connection.projection": {"newton"},
    "connection.mapping_dtype": {"float32", "bfloat16"},
    "connection.depth_form": {"delta", "delta_gated"},
    "connection.depth_values": {"normed"},
    "block.value_residual": {"fixed", "learned"},
}
PARSED = {name: parse_spec(spec) for name, spec in SPECS.items()}


def test_ids_are_those_that_were_given_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """Under the numerics of that release; since then numbers have moved, and every spec has a new id."""
    now = {name: spec.id for name, spec in PARSED.items()}
    assert not set(now.values()) & set(IDS.values())
    assert len(set(now.values())) == 30
    monkeypatch.setattr(run_spec, "NUMERICS_VERSION", 2)
    assert {name: spec.id for name, spec in PARSED.items()} == IDS


def test_every_released_connection_is_met_with_static_and_with_dynamic_mixing() -> None:
    assert CONNECTION_KINDS[: len(RELEASED_KINDS)] == RELEASED_KINDS
    met = {(spec.connection.kind, spec.connection.dynamic) for spec in PARSED.values()}
    by_token = {(kind, True) for kind in RELEASED_KINDS if FAMILIES[kind].by_token}
    assert met == by_token | {(kind, False) for kind in RELEASED_KINDS}


def test_every_choice_of_every_field_is_met() -> None:
    for path, choices in list_choices():
        met = {look_up(spec.model_dump(), path) for spec in PARSED.values()}
        missing = set(choices) - met - NOT_MET.get(path, set())
        assert not missing, path


def list_choices() -> Iterator[tuple[str, list[str]]]:
    """Fields that take one of a few values, by their dotted paths."""
    schema = RunSpec.model_json_schema()
    for name, field in schema["properties"].items():
        part = schema["$defs"].get(field.get("$ref", "").rsplit("/")[-1], {"properties": {}})
        inner = {f"{name}.{leaf}": item for leaf, item in part["properties"].items()}
        yield from ((path, item["enum"]) for path, item in {name: field, **inner}.items() if "enum" in item)


def look_up(plain: Any, path: str) -> Any:
    """The value of a field by its dotted path."""
    return reduce(getitem, path.split("."), plain)


def test_corners_are_met() -> None:
    assert {1, 512} <= {spec.depth for spec in PARSED.values()}
    assert any(spec.connection.kind == "mhc" and spec.streams == 1 for spec in PARSED.values())
    assert any(spec.seeds > 1 for spec in PARSED.values())
    assert any(spec.jacobian for spec in PARSED.values())
    assert all(1 < len(names) <= MAX_RUNS and set(names) <= SPECS.keys() for names in COMPARISONS.values())
