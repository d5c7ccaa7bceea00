"""The product's float64 runs against a plain network under torch's own autograd, over specs that no other test uses.

Sizes are held to 1e-12 of themselves; what has a sign and may be near 0, to 1e-12 where it is below 1. Stacks are
measured as they start and, because dynamic mixing starts with weights of 0, once more with all parameters of the
connection moved.
"""

from typing import Any

import numpy as np
import pytest
import torch

from mhc_core.measure.passes import measure
from mhc_core.measure.run import run
from mhc_core.record.result import Result
from mhc_core.spec import RunSpec, parse_spec
from mhc_core.stack import Stack, build_stack
from tests.oracles.conftest import draw
from tests.oracles.plain_columns import measure_plainly

TOLERANCE = 1e-12
SIGNED = (
    "token_cos",
    "stream_cos",
    "cos_prev",
    "cos_prev_p05",
    "cos_prev_p95",
    "h_res_row_sum",
    "h_res_col_sum",
    "loss",
)

# name: depth, width, seed, connection, block, input.
SPECS: dict[str, tuple[int, int, int, dict[str, Any], dict[str, Any], dict[str, Any]]] = {
    "mhc-post-rmsnorm-silu": (
        7, 20, 11,
        {"kind": "mhc", "streams": 4, "init": "mhc_lite", "noise": 0.5},
        {"heads": 5, "mlp_ratio": 2, "activation": "silu", "norm_position": "post"},
        {},
    ),
    "residual-deepnorm-layernorm": (
        8, 24, 12,
        {"kind": "residual"},
        {"heads": 6, "mlp_ratio": 3, "norm": "layernorm", "norm_position": "post", "scaling": "deepnorm"},
        {},
    ),
    "mhc-dynamic-lucidrains-layernorm_scaling": (
        9, 16, 13,
        {"kind": "mhc", "streams": 3, "init": "lucidrains", "dynamic": True},
        {"heads": 2, "mlp_ratio": 2, "activation": "silu", "norm": "layernorm", "scaling": "layernorm_scaling"},
        {},
    ),
    "mhc-dynamic-value-residual": (
        7, 16, 23,
        {"kind": "mhc", "streams": 3, "init": "megatron", "dynamic": True, "noise": 0.3},
        {"heads": 4, "mlp_ratio": 1, "activation": "tanh", "value_residual": "fixed", "branch_scale": 0.8},
        {},
    ),
    "hc-post-value-residual-learned": (
        9, 20, 24,
        {"kind": "hc", "streams": 2, "noise": 0.2},
        {"heads": 5, "mlp_ratio": 1, "activation": "silu", "norm_position": "post", "value_residual": "learned"},
        {},
    ),
    "frac-pair": (
        6, 28, 14,
        {"kind": "frac", "streams": 2, "noise": 0.2},
        {"kind": "pair", "mlp_ratio": 2, "activation": "tanh"},
        {"kind": "gaussian"},
    ),
    "frac-dynamic-post-rmsnorm-tanh": (
        5, 24, 15,
        {"kind": "frac", "streams": 3, "dynamic": True},
        {"heads": 4, "mlp_ratio": 1, "activation": "tanh", "norm_position": "post", "weights": "orthogonal"},
        {},
    ),
    "kromhc-head-conv": (
        5, 16, 16,
        {"kind": "kromhc", "streams": 8, "init": "mhc_lite", "noise": 2.0, "output": "head"},
        {"kind": "conv", "activation": "gelu", "norm": "layernorm", "branch_scale": 0.7},
        {"kind": "gaussian"},
    ),
    "kromhc-dynamic-sum-correlated": (
        10, 20, 17,
        {"kind": "kromhc", "streams": 4, "init": "megatron", "dynamic": True, "output": "sum"},
        {"kind": "mlp", "mlp_ratio": 2, "activation": "tanh"},
        {"kind": "correlated", "correlation": 0.35},
    ),
    "mhc-dynamic-deepseek_v4-head": (
        6, 32, 18,
        {"kind": "mhc", "streams": 3, "init": "deepseek_v4", "dynamic": True, "sinkhorn_eps": 1e-6},
        {"heads": 8, "mlp_ratio": 2, "activation": "silu"},
        {},
    ),
    "hc-dynamic-deepnorm-rmsnorm-sum": (
        8, 16, 19,
        {"kind": "hc", "streams": 2, "dynamic": True, "noise": 0.1, "output": "sum"},
        {"heads": 4, "mlp_ratio": 2, "activation": "tanh", "norm_position": "post", "scaling": "deepnorm"},
        {},
    ),
    "hc-sum-digits-skipinit": (
        12, 16, 20,
        {"kind": "hc", "streams": 3, "noise": 0.15, "output": "sum"},
        {"heads": 2, "mlp_ratio": 1, "activation": "relu", "scaling": "skipinit"},
        {"kind": "digits", "tokens": 64},
    ),
    "mhc-three-rounds-no-norm": (
        11, 24, 21,
        {"kind": "mhc", "streams": 5, "noise": 1.5, "sinkhorn_iters": 3, "output": "head"},
        {
            "kind": "mlp", "mlp_ratio": 0, "activation": "silu", "norm_position": "none", "weights": "xavier",
            "scaling": "inv_sqrt_depth",
        },
        {"kind": "correlated", "correlation": 0.8},
    ),
    "mhc_lite-dynamic-post-layernorm": (
        6, 20, 22,
        {"kind": "mhc_lite", "streams": 3, "init": "megatron", "dynamic": True, "noise": 0.7},
        {"kind": "conv", "activation": "relu", "norm": "layernorm", "norm_position": "post"},
        {},
    ),
}  # fmt: skip


def build_spec(name: str) -> RunSpec:
    depth, width, seed, connection, block, given = SPECS[name]
    return parse_spec(
        {
            "depth": depth,
            "width": width,
            "seed": seed,
            "dtype": "float64",
            "device": "cpu",
            "connection": connection,
            "block": block,
            "input": {"batch": 2, "tokens": 16, **given},
        }
    )


def move(stack: Stack) -> Stack:
    """Every parameter of the connection and every learned scalar, moved by 0.2 of a standard normal value."""
    moved = [*stack.connection.parameters(), *(p for p in stack.branches.parameters() if p.ndim < 2)]
    with torch.no_grad():
        for place, parameter in enumerate(moved):
            parameter.add_(0.2 * draw(place, *parameter.shape))
    return stack


def find_gap(key: str, ours: Any, plain: Any) -> float:
    """Largest difference, relative, or of signed values absolute where they are below 1; nan is equal to nan."""
    ours, plain = np.asarray(ours, dtype=np.float64), np.asarray(plain, dtype=np.float64)
    assert ours.shape == plain.shape, key
    assert np.array_equal(np.isnan(ours), np.isnan(plain)), key
    size = np.maximum(np.abs(plain), 1.0) if key in SIGNED else np.abs(plain)
    return float(np.nanmax(np.abs(ours - plain) / size))


def find_gaps(spec: RunSpec, stack: Stack, result: Result) -> dict[str, float]:
    """The gap of every column, of what is measured at the input, and of the loss."""
    loss, columns, at_input = measure_plainly(spec, stack.state_dict())
    gaps = {key: find_gap(key, result.layers[key], column) for key, column in columns.items()}
    gaps |= {f"{key} of the input": find_gap(key, result.input[key], value) for key, value in at_input.items()}
    return gaps | {"loss": find_gap("loss", result.loss, loss)}


@pytest.mark.sample(6)
@pytest.mark.parametrize("name", SPECS)
def test_a_run_agrees_with_a_plain_network(name: str) -> None:
    spec = build_spec(name)
    result = Result()
    for frame in run(spec):
        result.add(frame)
    gaps = find_gaps(spec, build_stack(spec), result)
    assert {key: gap for key, gap in gaps.items() if not gap <= TOLERANCE} == {}


@pytest.mark.sample(6)
@pytest.mark.parametrize("name", SPECS)
def test_a_stack_whose_mixing_has_moved_agrees_with_a_plain_network(name: str) -> None:
    spec = build_spec(name)
    stack, result = move(build_stack(spec)), Result(spec.depth)
    for frame in measure(stack, torch.device("cpu")):
        result.add(frame)
    gaps = find_gaps(spec, stack, result)
    assert {key: gap for key, gap in gaps.items() if not gap <= TOLERANCE} == {}


GRADIENTS = ("grad_rms", "branch_grad_rms", "param_grad_norm")
# Largest relative difference that is due to rounding. Logits are up to 5 behind a norm; without one they are up to 700
# with branches of 0.3, and up to 7e18 with whole ones: there a stack makes 1e9 times as much of a rounding.
DEEP: dict[str, tuple[dict[str, Any], float]] = {
    "pre": ({"norm_position": "pre"}, 1e-12),
    "post": ({"norm_position": "post"}, 1e-12),
    "none, branches of 0.3": ({"norm_position": "none", "branch_scale": 0.3}, 2e-10),
    "none": ({"norm_position": "none"}, 1e-6),
}


@pytest.mark.sample(6)
@pytest.mark.parametrize("seed", [0, *(pytest.param(seed, marks=pytest.mark.full) for seed in (1, 2, 3))])
@pytest.mark.parametrize("depth", [pytest.param(16, marks=pytest.mark.full), 64])
@pytest.mark.parametrize(("block", "largest"), DEEP.values(), ids=DEEP)
def test_gradients_of_attention_agree_with_plain_autograd(
    block: dict[str, Any], largest: float, depth: int, seed: int
) -> None:
    fields = {"depth": depth, "seed": seed, "dtype": "float64", "device": "cpu"}
    spec = parse_spec({**fields, "connection": {"kind": "residual"}, "block": block})
    result = Result()
    for frame in run(spec):
        result.add(frame)
    _, columns, _ = measure_plainly(spec, build_stack(spec).state_dict())
    for key in GRADIENTS:
        np.testing.assert_allclose(result.layers[key], columns[key], rtol=largest, err_msg=key)
