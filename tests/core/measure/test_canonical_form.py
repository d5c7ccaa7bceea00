"""A spec as it is written and its canonical form, which a server stores and computes, give the same frames."""

from collections.abc import Iterator

import pytest
from pydantic import BaseModel

from mhc_core.measure.run import run
from mhc_core.record.codec import encode_frame
from mhc_core.spec import RunSpec, parse_spec
from tests.core.drawn import EVERY_FIELD, draw_written_out

pytestmark = pytest.mark.full

RANDOM = 25


def list_fields(part: type[BaseModel], prefix: str = "") -> Iterator[str]:
    """Dotted paths of the fields that hold a value."""
    for name, field in part.model_fields.items():
        inner = field.annotation
        if isinstance(inner, type) and issubclass(inner, BaseModel):
            yield from list_fields(inner, f"{name}.")
        else:
            yield f"{prefix}{name}"


def test_every_field_is_drawn() -> None:
    assert set(EVERY_FIELD) == set(list_fields(RunSpec))


def test_the_canonical_form_of_random_specs_gives_the_same_frames() -> None:
    for spec in draw_written_out(0, RANDOM):
        stored = parse_spec(spec.canonical())
        assert stored.id == spec.id
        for index, (written, canonical) in enumerate(zip(run(spec), run(stored), strict=True)):
            assert encode_frame(written, spec.id, index) == encode_frame(canonical, spec.id, index), (
                spec.model_dump_json()
            )


def test_the_norm_within_a_pair_block_is_kept_where_the_stream_has_none() -> None:
    block = {"kind": "pair", "norm": "layernorm", "norm_position": "none"}
    body = {"width": 16, "block": block, "input": {"kind": "gaussian", "tokens": 16}}
    assert parse_spec(body).canonical()["block"]["norm"] == "layernorm"
    assert parse_spec(body).id != parse_spec(body | {"block": block | {"norm": "rmsnorm"}}).id
