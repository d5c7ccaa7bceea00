"""Specs drawn at random, the same in every run of the tests."""

import random
from collections.abc import Iterator
from typing import Any

from mhc_core.spec import CONNECTION_KINDS, RunSpec, SpecErrors, parse_spec
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


def draw_specs(count: int, seed: int = 7, **choices: list[Any]) -> Iterator[dict[str, Any]]:
    """Small valid specs of the default depth, of every connection in turn; a choice is of a path with `__` for dots."""
    drawn = random.Random(seed)
    choices = CHOICES | {path.replace("__", "."): values for path, values in choices.items()}
    while count:
        spec: dict[str, Any] = {"block": {"heads": 2}, "input": {"batch": 2, "tokens": 9}, "device": "cpu"}
        spec["connection"] = dict(list(CONNECTIONS.values())[count % len(CONNECTIONS)])
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
    "connection.init": ["residual", "mhc_lite", "lucidrains", "megatron", "deepseek_v4"],
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
    "block.mlp_ratio": [0, 1, 2],
    "block.scaling": ["constant", "constant", "inv_sqrt_depth", "rezero", "skipinit", "deepnorm", "layernorm_scaling"],
    "block.branch_scale": [1.0, 0.5],
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
