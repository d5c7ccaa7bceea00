"""Specs drawn at random, the same in every run of the tests."""

import random
from collections.abc import Iterator
from typing import Any

from mhc_core.spec import SpecErrors, parse_spec
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
    "input.kind": ["text", "gaussian", "correlated"],
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
