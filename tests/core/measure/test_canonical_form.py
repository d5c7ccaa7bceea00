"""A spec as it is written and its canonical form, which a server stores and computes, give the same frames."""

import random
from collections.abc import Iterator
from typing import Any

import pytest
from pydantic import BaseModel

from mhc_core.measure.run import run
from mhc_core.record.codec import encode_frame
from mhc_core.spec import CONNECTION_KINDS, RunSpec, SpecErrors, parse_spec

BATCHES, BATCH = 40, 50

# Values of every field, small shapes; that of a field which does not apply is as likely to differ from its default.
CHOICES: dict[str, list[Any]] = {
    "depth": [1, 2, 3, 6],
    "width": [8, 16],
    "seed": [0, 1, 2, 3],
    "seeds": [1, 1, 1, 2],
    "jacobian": [0, 0, 1],
    "dtype": ["float32", "float32", "float64", "bfloat16"],
    "device": ["cpu"],
    "cka": ["unbiased", "biased"],
    "connection.kind": list(CONNECTION_KINDS),
    "connection.streams": [1, 2, 4],
    "connection.dynamic": [False, True],
    "connection.output": ["auto", "mean", "sum", "head"],
    "connection.init": ["residual", "mhc_lite", "lucidrains", "megatron", "deepseek_v4"],
    "connection.noise": [0.0, 0.3, 2.0],
    "connection.sinkhorn_iters": [0, 1, 20],
    "connection.sinkhorn_eps": [0.0, 1e-6, 1e-3],
    "connection.mapping_dtype": ["auto", "float32", "bfloat16"],
    "block.kind": ["mlp", "transformer", "conv", "pair"],
    "block.norm": ["rmsnorm", "layernorm"],
    "block.norm_position": ["pre", "post", "none"],
    "block.activation": ["relu", "gelu", "tanh", "linear", "silu"],
    "block.weights": ["he", "xavier", "orthogonal"],
    "block.heads": [1, 2, 4, 7],
    "block.mlp_ratio": [0, 1, 2],
    "block.scaling": ["constant", "constant", "inv_sqrt_depth", "rezero", "skipinit", "deepnorm", "layernorm_scaling"],
    "block.branch_scale": [1.0, 0.5],
    "input.kind": ["text", "text", "gaussian", "correlated", "digits"],
    "input.text": ["abc", "Any text that is longer than a window."],
    "input.correlation": [0.0, 0.5, 1.0],
    "input.batch": [1, 2],
    "input.tokens": [4, 9, 16, 64],
    "train.steps": [0, 0, 0, 2],
    "train.lr": [0.001, 0.1],
    "train.optimizer": ["adamw", "sgd"],
    "train.weight_decay": [0.0, 0.1],
    "train.warmup": [0, 2],
    "train.clip": [0.0, 1.0],
    "train.kept": [2, 5],
}


def draw_specs(seed: int, count: int) -> Iterator[RunSpec]:
    """Valid specs with every field written out."""
    drawn = random.Random(seed)
    while count:
        body: dict[str, Any] = {}
        for path, values in CHOICES.items():
            part, _, leaf = path.rpartition(".")
            (body.setdefault(part, {}) if part else body)[leaf] = drawn.choice(values)
        try:
            yield parse_spec(body)
        except SpecErrors:
            continue
        count -= 1


def list_fields(part: type[BaseModel], prefix: str = "") -> Iterator[str]:
    """Dotted paths of the fields that hold a value."""
    for name, field in part.model_fields.items():
        inner = field.annotation
        if isinstance(inner, type) and issubclass(inner, BaseModel):
            yield from list_fields(inner, f"{name}.")
        else:
            yield f"{prefix}{name}"


def test_every_field_is_drawn() -> None:
    assert set(CHOICES) == set(list_fields(RunSpec))


@pytest.mark.sample(BATCHES)
@pytest.mark.parametrize("seed", range(BATCHES))
def test_the_canonical_form_of_random_specs_gives_the_same_frames(seed: int) -> None:
    for spec in draw_specs(seed, BATCH):
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
