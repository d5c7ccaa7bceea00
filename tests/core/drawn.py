"""Specs drawn at random, the same in every run of the tests."""

import random
from collections.abc import Iterator
from typing import Any

from mhc_core.families import FAMILIES
from mhc_core.spec import CONNECTION_KINDS, RunSpec, SpecErrors, parse_spec
from mhc_core.spec.edit import DOES, Edited, list_possible
from tests.core.conftest import CONNECTIONS

CHOICES: dict[str, list[Any]] = {
    "seed": [0, 1, 2, 3],
    "width": [8, 16],
    "dtype": ["float32", "float32", "float64"],
    "cka": ["unbiased", "biased"],
    "block.kind": ["mlp", "transformer", "transformer", "conv", "pair"],
    "block.norm_position": ["pre", "pre", "post", "none"],
    "block.scaling": ["constant", "constant", "rezero", "layernorm_scaling"],
    "block.weights": ["he", "xavier", "orthogonal"],
    "block.branch_scale": [1.0, 0.5],
    "connection.streams": [1, 2, 4],
    "connection.noise": [0.0, 0.3, 1.0],
    "connection.sinkhorn_iters": [0, 3, 20],
    "connection.output": ["auto", "sum", "mean"],
    "connection.mapping_dtype": ["auto", "auto", "bfloat16"],
    "input.kind": ["text", "corpus", "gaussian", "correlated"],
}
VALUE_RESIDUALS = ("off", "fixed", "learned")  # which take turns, as connections do


def draw_specs(count: int, seed: int = 7, **choices: list[Any]) -> Iterator[dict[str, Any]]:
    """Small valid specs of the default depth, of every connection in turn; a choice is of a path with `__` for dots."""
    drawn = random.Random(seed)
    choices = CHOICES | {path.replace("__", "."): values for path, values in choices.items()}
    while count:
        spec: dict[str, Any] = {"block": {"heads": 2}, "input": {"batch": 2, "tokens": 9}, "device": "cpu"}
        spec["connection"] = dict(list(CONNECTIONS.values())[count % len(CONNECTIONS)])
        spec["block"]["value_residual"] = VALUE_RESIDUALS[count % len(VALUE_RESIDUALS)]
        for path, values in choices.items():
            part, _, leaf = path.rpartition(".")
            (spec.setdefault(part, {}) if part else spec)[leaf] = drawn.choice(values)
        try:
            parse_spec(spec)
        except SpecErrors:
            continue
        count -= 1
        yield spec


# Values of every field, small shapes; that of a field which does not apply is as likely to differ from its default.
EVERY_FIELD: dict[str, list[Any]] = {
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
    "connection.init": ["residual", "mhc_lite", "lucidrains", "megatron", "deepseek_v4", "c_mhc", "hy_v4"],
    "connection.expand": ["copies", "copies", "scaled"],
    "connection.read_from": ["own", "own", "previous"],
    "connection.projection": ["sinkhorn", "sinkhorn", "newton"],
    "connection.noise": [0.0, 0.3, 2.0],
    "connection.sinkhorn_iters": [0, 1, 20],
    "connection.sinkhorn_eps": [0.0, 1e-6, 1e-3],
    "connection.mapping_dtype": ["auto", "float32", "bfloat16"],
    "connection.depth_block": [1, 2, 3],
    "connection.depth_heads": [1, 2, 4],
    "connection.depth_form": ["replace", "delta", "delta_gated"],
    "connection.depth_values": ["plain", "normed"],
    "connection.gate_rank": [1, 4, 16],
    "block.kind": ["mlp", "transformer", "conv", "pair"],
    "block.norm": ["rmsnorm", "layernorm"],
    "block.norm_position": ["pre", "post", "none"],
    "block.activation": ["relu", "gelu", "tanh", "linear", "silu"],
    "block.weights": ["he", "xavier", "orthogonal"],
    "block.heads": [1, 2, 4, 7],
    "block.value_residual": ["off", "off", "fixed", "learned"],
    "block.mlp_ratio": [0, 1, 2],
    "block.scaling": ["constant", "constant", "inv_sqrt_depth", "rezero", "skipinit", "deepnorm", "layernorm_scaling"],
    "block.branch_scale": [1.0, 0.5],
    "edits": [
        [],
        [],
        [{"layers": [0, 0], "what": "stream", "index": 0, "do": "zero"}],
        [{"layers": [0, 1], "what": "branch", "do": "scale", "value": 0.5}],
        [{"layers": [0, 0], "what": "h_res", "do": "uniform"}, {"layers": [1, 1], "what": "state", "do": "restore"}],
    ],
    "input.kind": ["text", "corpus", "gaussian", "correlated", "digits"],
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


def draw_written_out(seed: int, count: int) -> Iterator[RunSpec]:
    """Valid specs with every field written out."""
    drawn = random.Random(seed)
    while count:
        body: dict[str, Any] = {}
        for path, values in EVERY_FIELD.items():
            part, _, leaf = path.rpartition(".")
            (body.setdefault(part, {}) if part else body)[leaf] = drawn.choice(values)
        try:
            yield parse_spec(body)
        except SpecErrors:
            continue
        count -= 1


def draw_edits(drawn: random.Random, kind: str, depth: int, streams: int) -> list[dict[str, Any]]:
    """One to four edits that a stack of this connection allows."""
    family = FAMILIES[kind]
    n = family.fixed_streams or streams if family.has_streams else 1
    return [_draw_edit(drawn, Edited(kind, family, depth, n)) for _ in range(drawn.randint(1, 4))]


def _draw_edit(drawn: random.Random, stack: Edited) -> dict[str, Any]:
    what = drawn.choice([what for what in list_possible(stack.family) if what != "source" or stack.depth > 1])
    first = drawn.randrange(1, stack.depth) if what == "source" else drawn.randrange(stack.depth)
    n = stack.count_entries(what, first)
    do, is_matrix = drawn.choice(DOES[what]), stack.is_matrix(what)
    edit: dict[str, Any] = {
        "layers": [first, min(stack.depth - 1, first + drawn.choice([0, 0, 2]))],
        "what": what,
        "do": do,
    }
    is_part = (what.startswith("h_") or what == "source") and (is_matrix or do != "top_k") and drawn.random() < 0.5
    if what == "stream" or do == "swap" or is_part:
        edit["index"] = drawn.randrange(n)
    elif what == "source" and do == "set":
        edit["layers"] = [first, first]  # later layers weigh more
    size = (n if is_matrix else 1) * (1 if "index" in edit else n)
    parameters: dict[str, Any] = {
        "scale": {"value": drawn.choice([-1.0, 0.0, 0.5, 1.0, 2.0])},
        "noise": {"value": drawn.choice([0.0, 0.5, 2.0])},
        "swap": {"other": drawn.randrange(n)},
        "top_k": {"k": drawn.randint(1, n)},
        "set": {"values": [round(drawn.uniform(-1, 1), 3) for _ in range(size)]},
    }
    return edit | parameters.get(do, {})


def draw_edited(count: int, seed: int = 1, **fields: Any) -> Iterator[dict[str, Any]]:
    """Small valid specs of every connection with edits; further fields are the same in all."""
    drawn = random.Random(seed)
    for place in range(count):
        kind, depth = drawn.choice(CONNECTION_KINDS), drawn.choice([2, 6, 12])
        yield {
            "depth": depth,
            "width": 16,
            "seed": place,
            "device": "cpu",
            "dtype": drawn.choice(["float32", "float64", "bfloat16"]),
            "connection": {
                "kind": kind,
                "streams": 4,
                "dynamic": drawn.random() < 0.5,
                "noise": drawn.choice([0.0, 0.3, 1.0]),
            },
            "block": {
                "kind": drawn.choice(["mlp", "transformer", "conv"]),
                "norm_position": drawn.choice(["pre", "pre", "post", "none"]),
            },
            "input": {"kind": drawn.choice(["text", "gaussian", "digits"]), "tokens": 64, "batch": 2},
            "edits": draw_edits(drawn, kind, depth, 4),
        } | fields
