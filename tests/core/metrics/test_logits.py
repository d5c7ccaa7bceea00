"""Logits of H_res and what rounding leaves of sums of 1, against plain numpy and a bfloat16 of our own."""

from typing import Any

import numpy as np
import pytest
import torch

from mhc_core.families import FAMILIES
from mhc_core.measure.logit_probe import LogitProbe
from mhc_core.metrics.logits import MAX_LAYERS, measure_rounding
from mhc_core.stack import build_stack
from tests.core import measures, reference
from tests.core.conftest import CONNECTIONS, build_spec, measure, select_connections
from tests.core.metrics.cases import Case, trace_spec
from tests.core.reference import Array

COLUMNS = ("res_logit_range", "ds_error_float32", "ds_error_bfloat16")
WITH_LOGITS = select_connections(lambda family: family.drawn == "logits")


def has_range(name: str) -> bool:
    """Whether H_res of 4 streams has several logits."""
    return FAMILIES[CONNECTIONS[name]["kind"]].logits(4) > 1


def find_logits(spec: Any, layer: int) -> Array:
    """Raw residual logits of every sample (S, m), as mHC Eq. 7 prints them; S is 1 where mixing is static."""
    stack = build_stack(spec)
    p = {name: value.detach().double().numpy() for name, value in stack.connection.named_parameters()}
    if not spec.connection.is_dynamic:
        return p["b_res"][layer][None]
    x = trace_spec(spec).states[layer]
    n = len(x)
    v = np.moveaxis(x, 0, 1).reshape(x.shape[1], -1)
    raw = (v / np.sqrt((v * v).mean(1, keepdims=True))) @ p[f"mixers.{layer}.phi"]
    return p[f"mixers.{layer}.a"][2] * raw[:, 2 * n :] + p[f"mixers.{layer}.b_res"]


def to_bfloat16(x: Array) -> Array:
    """Rounded to eight binary digits, half to even, by the bits of a float32."""
    bits = x.astype(np.float32).view(np.uint32)
    kept = (bits + 0x7FFF + ((bits >> 16) & 1)) & np.uint32(0xFFFF0000)
    return kept.astype(np.uint32).view(np.float32).astype(np.float64)


def sinkhorn_in_bfloat16(logits: Array, rounds: int) -> Array:
    """Columns and rows in turn, in logarithms, each half round rounded; the last row sum in the matrix itself."""
    t = to_bfloat16(logits)
    for turn in range(2 * rounds - 1):
        axis = -2 if turn % 2 == 0 else -1
        top = t.max(axis, keepdims=True)
        t = to_bfloat16(t - top - np.log(np.exp(t - top).sum(axis, keepdims=True)))
    weights = np.exp(t - t.max(-1, keepdims=True))
    return to_bfloat16(weights / weights.sum(-1, keepdims=True))


@pytest.mark.sample(5)
def test_columns_are_there_where_h_res_is_made_of_logits(case: Case) -> None:
    name, result, _ = case
    for key in COLUMNS:
        is_given = name in WITH_LOGITS and (key != "res_logit_range" or has_range(name))
        assert (key in result.layers) == is_given, key


@pytest.mark.sample(5)
@pytest.mark.parametrize("name", WITH_LOGITS)
def test_the_range_of_logits_and_what_float32_leaves(name: str) -> None:
    spec = build_spec(connection={**CONNECTIONS[name], "noise": 0.6})
    result = measure(spec)
    for layer in range(4):
        logits = find_logits(spec, layer)
        widest = max(row.max() - row.min() for row in logits)
        if has_range(name):
            assert result.layers["res_logit_range"][layer] == pytest.approx(widest, rel=1e-10)
        worst = max(measures.deviation(matrix) for matrix in reference.find_residual_matrices(spec, logits))
        assert result.layers["ds_error_float32"][layer] == pytest.approx(worst, rel=1e-4, abs=5e-7)


@pytest.mark.parametrize("name", ["mhc", "mhc-dynamic"])
def test_what_bfloat16_leaves_of_sinkhorn(name: str) -> None:
    spec = build_spec(connection={**CONNECTIONS[name], "noise": 0.6})
    result = measure(spec)
    for layer in range(4):
        logits = find_logits(spec, layer).reshape(-1, 4, 4)
        worst = max(measures.deviation(sinkhorn_in_bfloat16(matrix, 20)) for matrix in logits)
        # An exponential that is rounded the other way moves one entry by one unit, at most 2^-9 of 1.
        assert result.layers["ds_error_bfloat16"][layer] == pytest.approx(worst, abs=2**-9)
        assert result.layers["ds_error_bfloat16"][layer] > 1e-4


@pytest.mark.sample(9, "values")
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("name", WITH_LOGITS)
def test_the_columns_foretell_a_run_that_maps_in_that_type(name: str, dtype: str) -> None:
    connection = {**CONNECTIONS[name], "noise": 0.6}
    foretold = measure(build_spec(dtype="float32", connection=connection)).layers[f"ds_error_{dtype}"]
    result = measure(build_spec(dtype="float32", connection=connection | {"mapping_dtype": dtype}))
    worst = result.layers["ds_error_tokens" if connection.get("dynamic") else "ds_error"]
    # Dynamic matrices lie otherwise in memory there, and an exponential's last digit depends on that.
    unit = {"float32": 1e-7, "bfloat16": 2**-9}[dtype] if connection.get("dynamic") else 1e-12
    np.testing.assert_allclose(worst, result.layers[f"ds_error_{dtype}"], rtol=1e-6, atol=unit)
    # Dynamic logits of the two runs differ, as one has rounded what it is made of. Sums far from 1 have larger errors.
    slack = {"float32": 1e-6, "bfloat16": 5e-3}[dtype] if connection.get("dynamic") else 1e-9
    np.testing.assert_allclose(worst, foretold, rtol=1e-4, atol=slack * max(1.0, foretold.max()))


def test_a_single_stream_and_a_single_logit_have_no_range() -> None:
    assert not set(COLUMNS) & measure(build_spec(connection={"streams": 1})).layers.keys()
    two = measure(build_spec(connection={"kind": "kromhc", "streams": 2}))
    assert "res_logit_range" not in two.layers
    assert "ds_error_bfloat16" in two.layers


def test_samples_are_evenly_spaced_and_the_range_is_of_all() -> None:
    fields: dict[str, Any] = {"depth": 2, "width": 4, "block": {"kind": "mlp"}}
    connection = {"init": "deepseek_v4", "dynamic": True}
    spec = build_spec(**fields, connection=connection, input={"kind": "gaussian", "batch": 2, "tokens": 50})
    result, logits = measure(spec), find_logits(spec, 1)
    widest = max(row.max() - row.min() for row in logits)
    assert result.layers["res_logit_range"][1] == pytest.approx(widest, rel=1e-10)
    kept = logits[np.round(np.linspace(0, 99, 32)).astype(int)].reshape(-1, 4, 4)
    worst = max(measures.deviation(sinkhorn_in_bfloat16(matrix, 20)) for matrix in kept)
    assert result.layers["ds_error_bfloat16"][1] == pytest.approx(worst, abs=2**-9)


def test_a_trained_stack_is_heard_anew() -> None:
    connection = {"init": "deepseek_v4", "dynamic": True}
    spec = build_spec(connection=connection, train={"steps": 3, "lr": 0.3})
    trained, untrained = measure(spec), measure(build_spec(connection=connection))
    assert (np.abs(trained.layers["res_logit_range"] - untrained.layers["res_logit_range"]) > 1e-3).all()


def test_a_layer_is_heard_once_and_its_listener_leaves() -> None:
    stack = build_stack(build_spec(connection={"init": "megatron", "dynamic": True}))
    probe = LogitProbe(stack)
    probe.listen(range(4))
    stack()
    stack()
    assert [column.shape for column in probe.columns().values()] == [(4,)] * 3
    assert all(mixer.listener is None for mixer in stack.connection.mixers)  # type: ignore[union-attr]


def test_many_layers_are_mapped_a_part_at_a_time() -> None:
    layers = 2 * MAX_LAYERS + 1
    logits_LSm = torch.randn(layers, 3, 16, generator=torch.Generator().manual_seed(0))
    mapped = []

    def to_matrices(part_LSm: torch.Tensor) -> torch.Tensor:
        mapped.append(len(part_LSm))
        return part_LSm.unflatten(-1, (4, 4)).softmax(-1)

    found = measure_rounding(logits_LSm, to_matrices)
    assert mapped == 2 * [MAX_LAYERS, MAX_LAYERS, 1]
    alone = [measure_rounding(layer_Sm[None], to_matrices) for layer_Sm in logits_LSm]
    for key, column_L in found.items():
        assert torch.equal(column_L, torch.cat([one[key] for one in alone])), key
