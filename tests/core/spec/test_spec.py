"""The spec: what is accepted, what is refused and in which words, and which specs are the same run."""

import json
from typing import Any

import pytest
from pydantic import BaseModel, ValidationError

from mhc_core.spec import RunSpec, SpecErrors, parse_spec
from tests.core.conftest import build_spec

# The contract's example of a whole spec.
CONTRACT = """
    {"depth": 64, "width": 64, "seed": 0, "dtype": "float32", "device": "auto",
     "connection": {"kind": "mhc", "streams": 4, "dynamic": false, "init": "residual", "noise": 0.3,
                    "sinkhorn_iters": 20},
     "block": {"kind": "transformer", "norm": "rmsnorm", "norm_position": "pre", "activation": "gelu", "heads": 4,
               "mlp_ratio": 4},
     "input": {"kind": "text", "text": "...", "batch": 2, "tokens": 64},
     "train": {"steps": 0, "lr": 0.001, "optimizer": "adamw"}}
"""


def refusals(body: Any) -> dict[str, str]:
    """What a bad body is told: field -> sentence."""
    with pytest.raises(SpecErrors) as caught:
        parse_spec(body)
    return {error.field: str(error) for error in caught.value.errors}


def test_an_empty_spec_is_valid() -> None:
    assert parse_spec({}) == RunSpec()
    assert parse_spec(b"{}") == parse_spec("{}") == RunSpec()


def test_the_contract_is_accepted_word_for_word_and_holds_the_defaults() -> None:
    spec = parse_spec(CONTRACT)
    assert spec.input.text == "..."
    default = RunSpec()
    assert spec == default.model_copy(update={"input": default.input.model_copy(update={"text": "..."})})


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"depht": 3}, "depht"),
        ({"a.b": 3}, "a.b"),
        ({"connection": {"stream": 4}}, "connection.stream"),
        ({"connection": {"x.y": 4}}, "connection.x.y"),
        ({"depth": "64"}, "depth"),
        ({"depth": True}, "depth"),
        ({"depth": 64.0}, "depth"),
        ({"depth": None}, "depth"),
        ({"depth": 0}, "depth"),
        ({"depth": 1025}, "depth"),
        ({"width": 3}, "width"),
        ({"width": 4097}, "width"),
        ({"seed": -1}, "seed"),
        ({"seed": 2**32}, "seed"),
        ({"seed": 10**40}, "seed"),
        ({"dtype": "float16"}, "dtype"),
        ({"device": "tpu"}, "device"),
        ({"connection": 4}, "connection"),
        ({"connection": {"kind": "mHC"}}, "connection.kind"),
        ({"connection": {"streams": 0}}, "connection.streams"),
        ({"connection": {"streams": 17}}, "connection.streams"),
        ({"connection": {"dynamic": 1}}, "connection.dynamic"),
        ({"connection": {"noise": float("nan")}}, "connection.noise"),
        ({"connection": {"noise": float("inf")}}, "connection.noise"),
        ({"connection": {"noise": -0.1}}, "connection.noise"),
        ({"connection": {"sinkhorn_iters": 201}}, "connection.sinkhorn_iters"),
        ({"connection": {"sinkhorn_eps": 0.1}}, "connection.sinkhorn_eps"),
        ({"connection": {"mapping_dtype": "float64"}}, "connection.mapping_dtype"),
        ({"block": {"heads": 3}}, "block.heads"),
        ({"block": {"mlp_ratio": 17}}, "block.mlp_ratio"),
        ({"block": {"branch_scale": "1"}}, "block.branch_scale"),
        ({"input": {"text": ""}}, "input.text"),
        ({"input": {"text": "x" * 500_001}}, "input.text"),
        ({"input": {"text": "\ud800"}}, "input.text"),
        ({"input": {"batch": 65}}, "input.batch"),
        ({"input": {"batch": 1, "tokens": 3}}, "input.tokens"),
        ({"train": {"steps": 5001}}, "train.steps"),
        ({"input": {"kind": "gaussian"}, "train": {"steps": 1}}, "train.steps"),
        ({"seeds": 2, "train": {"steps": 1}}, "seeds"),
        ({"block": {"scaling": "deepnorm"}}, "block.scaling"),
        ({"input": {"kind": "digits", "tokens": 32}}, "input.tokens"),
        ({"connection": {"kind": "frac", "streams": 3}}, "connection.streams"),
        (b'{"connection": {"noise": NaN}}', "connection.noise"),
        (b'{"connection": {"noise": 1e400}}', "connection.noise"),
        (b'{"depth": 1e400}', "depth"),
        (b"[1]", "body"),
        (b"null", "body"),
        (b"", "body"),
        (b'{"depth": 3', "body"),
        (b'{"input": {"text": "\xff"}}', "body"),
        (b'{"input": {"text": "\\ud800"}}', "body"),
        (b"[" * 100_000, "body"),
    ],
    ids=lambda value: repr(value)[:40] if not isinstance(value, str) else value,
)
def test_a_mistake_is_refused_by_the_name_of_its_field(body: Any, field: str) -> None:
    found = refusals(body)
    assert list(found) == [field]
    sentence = found[field]
    assert sentence.endswith(".")
    assert sentence[0].isupper() or sentence.startswith(field)
    assert "wanted" not in sentence
    assert len(sentence) < 700


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        ({"depth": -3}, "Depth must be a whole number from 1 to 1024."),
        ({"depth": 64.5}, "Depth must be a whole number from 1 to 1024."),
        ({"width": 65}, "Heads (4) must divide width (65). Use 1, 5 or 13."),
        ({"train": {"lr": 0}}, "Learning rate must be a number above 0 and at most 10."),
        ({"input": {"text": ""}}, "Text must have 1 to 500000 characters."),
        ({"block": 3}, "block must be an object."),
        ({"connection": {"kind": "frac", "streams": 5}}, "Streams (5) must divide width (64). Use 1, 2, 4, 8 or 16."),
        (
            {"depth": 0, "width": 0},
            "Depth must be a whole number from 1 to 1024. Width must be a whole number from 4 to 4096.",
        ),
    ],
)
def test_mistakes_are_said_in_sentences(body: dict[str, Any], sentence: str) -> None:
    with pytest.raises(SpecErrors) as caught:
        parse_spec(body)
    assert str(caught.value) == sentence


def test_a_mistake_keeps_what_programs_read() -> None:
    with pytest.raises(SpecErrors) as caught:
        parse_spec({"width": 65})
    (error,) = caught.value.errors
    assert (error.field, error.got, error.wanted) == ("block.heads", 4, "a divisor of width 65")


def test_every_mistake_is_named_at_once() -> None:
    assert set(refusals({"depth": 0, "connection": {"streams": 0, "noise": -1.0}})) == {
        "depth",
        "connection.streams",
        "connection.noise",
    }


def test_a_refusal_says_the_limit_or_the_known_names() -> None:
    assert "1024" in refusals({"depth": 2000})["depth"]
    assert "width (64)" in refusals({"block": {"heads": 7}})["block.heads"]
    assert "sinkhorn_iters" in refusals({"connection": {"sinkhorn": 3}})["connection.sinkhorn"]
    assert "residual" in refusals({"connection": {"kind": "resnet"}})["connection.kind"]


def test_a_spec_cannot_be_changed() -> None:
    spec = parse_spec({})
    with pytest.raises(ValidationError):
        spec.depth = 3  # type: ignore[misc]
    with pytest.raises(ValidationError):
        spec.connection.streams = 3  # type: ignore[misc]


# Pairs that give the same numbers: the difference lies in fields that mean nothing there.
SAME: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({"connection": {"kind": "residual", "streams": 1}}, {"connection": {"kind": "residual", "streams": 8}}),
    ({"connection": {"kind": "residual"}}, {"connection": {"kind": "residual", "noise": 2.0, "dynamic": True}}),
    ({"connection": {"kind": "none"}}, {"connection": {"kind": "none", "init": "megatron", "sinkhorn_iters": 0}}),
    ({"connection": {"kind": "hc"}}, {"connection": {"kind": "hc", "init": "megatron", "sinkhorn_eps": 1e-6}}),
    ({"connection": {"kind": "hc"}}, {"connection": {"kind": "hc", "mapping_dtype": "bfloat16"}}),
    ({}, {"connection": {"mapping_dtype": "auto"}}),
    ({"block": {"kind": "mlp"}}, {"block": {"kind": "mlp", "heads": 7}}),
    ({"block": {"kind": "conv"}}, {"block": {"kind": "conv", "value_residual": "learned"}}),
    (
        {"block": {"norm_position": "none"}},
        {"block": {"norm_position": "none", "norm": "layernorm"}},
    ),
    ({"input": {"kind": "gaussian"}}, {"input": {"kind": "gaussian", "text": "abc"}}),
    ({}, {"train": {"lr": 0.5, "optimizer": "sgd"}}),
    ({"connection": {"noise": 1}}, {"connection": {"noise": 1.0}}),
]

DIFFERENT: list[dict[str, Any]] = [
    {"depth": 63},
    {"width": 32},
    {"seed": 1},
    {"dtype": "float64"},
    {"device": "cpu"},
    {"connection": {"kind": "hc"}},
    {"connection": {"kind": "residual"}},
    {"connection": {"kind": "none"}},
    {"connection": {"streams": 3}},
    {"connection": {"dynamic": True}},
    {"connection": {"init": "megatron"}},
    {"connection": {"noise": 0.2}},
    {"connection": {"sinkhorn_iters": 19}},
    {"connection": {"sinkhorn_eps": 1e-6}},
    {"connection": {"mapping_dtype": "bfloat16"}},
    {"block": {"kind": "mlp"}},
    {"block": {"norm": "layernorm"}},
    {"block": {"norm_position": "post"}},
    {"block": {"activation": "relu"}},
    {"block": {"weights": "xavier"}},
    {"block": {"heads": 2}},
    {"block": {"value_residual": "fixed"}},
    {"block": {"value_residual": "learned"}},
    {"block": {"mlp_ratio": 2}},
    {"block": {"branch_scale": 0.5}},
    {"input": {"kind": "gaussian"}},
    {"input": {"text": "abc"}},
    {"input": {"batch": 3}},
    {"input": {"tokens": 63}},
    {"train": {"steps": 5}},
    {"train": {"steps": 5, "lr": 0.01}},
    {"train": {"steps": 5, "optimizer": "sgd"}},
    {"train": {"steps": 5, "weight_decay": 0.1}},
    {"train": {"steps": 5, "warmup": 2}},
    {"train": {"steps": 5, "clip": 1.0}},
    {"train": {"steps": 5, "kept": 3}},
]


@pytest.mark.parametrize(("one", "other"), SAME, ids=lambda body: json.dumps(body)[:60])
def test_fields_that_do_not_apply_leave_no_trace(one: dict[str, Any], other: dict[str, Any]) -> None:
    one_spec, other_spec = parse_spec(one), parse_spec(other)
    assert one_spec.canonical() == other_spec.canonical()
    assert one_spec.id == other_spec.id


def test_specs_that_differ_in_what_applies_have_ids_of_their_own() -> None:
    ids = [parse_spec(body).id for body in [{}, *DIFFERENT]]
    assert len(set(ids)) == len(ids)


def test_the_canonical_form_is_a_spec_that_means_the_same() -> None:
    for body in [{}, *DIFFERENT]:
        spec = parse_spec(body)
        again = parse_spec(json.dumps(spec.canonical()))
        assert again.canonical() == spec.canonical()
        assert again.id == spec.id


def test_the_id_of_a_spec_never_changes() -> None:
    # Links and stored runs hold ids. This one may change only with NUMERICS_VERSION, that is, when a published number
    # moves; then put the new one here.
    assert build_spec(input={"text": "abc"}).id == "b58dc014fe5df6cc6ead"
    assert build_spec(input={"text": "abc"}, block={"value_residual": "off"}).id == "b58dc014fe5df6cc6ead"


def test_the_order_of_fields_leaves_no_trace_in_an_id() -> None:
    """Settings stand on the page in the order of the fields; ids were given out before the estimator of CKA moved."""
    names = list(RunSpec.model_fields)
    assert names.index("cka") > names.index("device")
    assert parse_spec({"cka": "biased"}).id == "14f0ae6dfcf6791ba82e"
    assert parse_spec({"cka": "biased", "dtype": "float64", "jacobian": 3}).id == "1946f22b5cc2503f8560"


def test_streams_is_one_where_the_connection_knows_none() -> None:
    assert parse_spec({"connection": {"kind": "residual", "streams": 8}}).streams == 1
    assert parse_spec({"connection": {"kind": "hc", "streams": 8}}).streams == 8


def test_every_field_says_what_it_is_and_how_it_is_set() -> None:
    seen = 0
    for path, field in walk_fields(RunSpec):
        assert field.title, path
        inner = field.annotation
        if isinstance(inner, type) and issubclass(inner, BaseModel):
            continue
        seen += 1
        assert field.description, path
        assert isinstance(field.json_schema_extra, dict), path
        assert field.json_schema_extra["control"] in {"select", "slider", "checkbox", "number", "text", "edits"}, path
        if field.json_schema_extra["control"] == "slider":
            assert "step" in field.json_schema_extra, path
    assert seen > 20  # the walk has found them


def test_applies_names_fields_that_exist_and_values_they_can_take() -> None:
    known = dict(walk_fields(RunSpec))
    for path, field in known.items():
        extra = field.json_schema_extra
        applies: Any = extra.get("applies", []) if isinstance(extra, dict) else []
        for other, rule in (item for conditions in applies for item in conditions.items()):
            assert other in known, path
            if rule != ">0":
                allowed = RunSpec.model_json_schema()["$defs"]
                part = {"connection": "ConnectionSpec", "block": "BlockSpec", "input": "InputSpec"}[other.split(".")[0]]
                assert set(rule) <= set(allowed[part]["properties"][other.split(".")[1]]["enum"]), path


def walk_fields(part: type[BaseModel], prefix: str = "") -> list[tuple[str, Any]]:
    """Dotted path and field of everything in a spec, parts included."""
    found: list[tuple[str, Any]] = []
    for name, field in part.model_fields.items():
        found.append((f"{prefix}{name}", field))
        inner = field.annotation
        if isinstance(inner, type) and issubclass(inner, BaseModel):
            found += walk_fields(inner, f"{prefix}{name}.")
    return found
