"""Exact relations hold in true stacks, and planted faults that a run shares with its recomputation break them."""

from typing import Any

import numpy as np
import pytest

from benchmarks.faults import FAULTS, cool_attention, fuse_attention, planted
from mhc_core.checks.consistency import DETECTS as OF_RECORDS
from mhc_core.checks.detection import DETECTS, IDENTITIES
from mhc_core.checks.recomputation import recompute
from mhc_core.checks.verification import verify
from mhc_core.measure.run import run
from tests.core.checks.test_verify import failures
from tests.core.conftest import CONNECTIONS, build_spec, collect, require, select_connections

BASE: dict[str, Any] = {
    "depth": 8,
    "width": 32,
    "device": "cpu",
    "block": {"kind": "transformer", "mlp_ratio": 2},
    "input": {"kind": "text", "batch": 2, "tokens": 16},
}


@pytest.mark.sample(120, "values")
@pytest.mark.parametrize("weights", ["he", "orthogonal"])
@pytest.mark.parametrize("position", ["pre", "post", "none"])
@pytest.mark.parametrize("block", ["transformer", "mlp", "conv", "pair"])
@pytest.mark.parametrize("name", CONNECTIONS)
def test_true_stacks_obey_every_relation(name: str, block: str, position: str, weights: str) -> None:
    fields = {"kind": block, "norm_position": position, "weights": weights, "norm": "layernorm"}
    found = recompute(build_spec(BASE, connection=CONNECTIONS[name], block=fields, seed=3)).identities
    assert found is not None
    for key, (_, largest, _, _) in IDENTITIES.items():
        if key in found:
            errors = np.abs(np.array(found[key], dtype=float))
            if key == "attention":
                errors = errors[::2]  # the layers between are no attention
            assert key == "adjoint" or not np.isnan(errors).any()
            assert np.nan_to_num(errors).max() <= largest, key
    assert (np.abs(found["weights"]) <= 1e-5 + 4.5 * np.array(found["weights_spread"])).all()
    assert ("projection" in found) == (name in ITERATING)
    assert ("norm" in found) == (position == "pre")
    assert ("causality" in found) == (block in ("transformer", "mlp"))
    assert ("attention" in found) == (block == "transformer")
    assert ("gauge" in found) == (position != "post" and name in COPYING)


@pytest.mark.parametrize("scaling", [("deepnorm", "post"), ("layernorm_scaling", "pre"), ("rezero", "none")])
def test_scaled_stacks_obey_them_too(scaling: tuple[str, str]) -> None:
    block = {"scaling": scaling[0], "norm_position": scaling[1]}
    spec = build_spec(BASE, connection={"kind": "residual"}, block=block, seed=3)
    assert failures(verify(spec, collect(list(run(spec))), recompute(spec))) == []


COPYING = [name for name in select_connections(lambda f: f.has_mixing and f.streams == "copies") if "-" not in name]
DEEP: dict[str, Any] = {"width": 16, "device": "cpu", "input": {"kind": "gaussian", "batch": 2, "tokens": 8}}
ITERATING = select_connections(lambda family: family.iterates)
PLAIN_GELU = {"kind": "mlp", "activation": "gelu", "norm_position": "none", "branch_scale": 0.1}
LIMITS: dict[str, dict[str, Any]] = {
    "states above 1e154": {"depth": 150, "connection": {"kind": "hc", "noise": 10.0}, "block": {"kind": "mlp"}},
    "states above 1e154, layernorm": {
        "depth": 150, "connection": {"kind": "hc", "noise": 10.0}, "block": {"kind": "mlp", "norm": "layernorm"},
    },
    "subnormal gradients": {"depth": 280, "connection": {"kind": "none"}, "block": PLAIN_GELU},
    "states that vanish": {"depth": 8, "connection": {"kind": "none"}, "block": {"kind": "mlp", "branch_scale": 1e-7}},
}  # fmt: skip


@pytest.mark.full
@pytest.mark.parametrize("name", LIMITS)
def test_relations_hold_at_the_limits_of_float64(name: str) -> None:
    spec = build_spec(DEEP, dtype="float32", **LIMITS[name])
    recomputed = recompute(spec)
    checks = {check.name: check for check in verify(spec, collect(list(run(spec))), recomputed)}
    assert not [law for law in IDENTITIES if law in checks and checks[law].verdict == "fails"]
    assert checks["layer_rule"].verdict == "holds"
    if name.startswith("states above"):
        assert checks["norm"].verdict == "holds"
        assert checks["adjoint"].verdict == "holds"
    if name == "subnormal gradients":
        assert "layers are left out: their gradients or states are subnormal." in checks["adjoint"].statement
        assert checks["adjoint"].verdict == "holds"
    if name == "states that vanish":
        assert np.isnan(np.array(require(recomputed.identities)["norm"], dtype=float)).sum() == 7


@pytest.mark.full
def test_a_gradient_of_1e_minus_200_that_is_wrong_is_found() -> None:
    """What is small is left out only where float64 has lost its digits."""
    spec = build_spec(DEEP, depth=180, dtype="float32", connection={"kind": "none"}, block=PLAIN_GELU)
    with planted(FAULTS["gradient times 1.05"][0]):
        recomputed = recompute(spec)
    grad = np.array(recomputed.columns["grad_rms"], dtype=float)
    assert grad[0] < 1e-160
    assert "adjoint_lost" not in require(recomputed.identities)
    assert abs(np.array(require(recomputed.identities)["adjoint"])[-1]) > 0.01


FOUND_BY = {
    "weights 5 % too large": "weights",
    "one layer without its skip": "layer_rule",
    "norm left out in one layer": "norm",
    "H_res transposed": "layer_rule",
    "one Sinkhorn round for twenty": "projection",
    "attention mask missing": "causality",
    "gradient times 1.05": "adjoint",
}


@pytest.mark.sample(3)
@pytest.mark.parametrize("dynamic", [False, True])
@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_that_both_share_is_found(fault: str, dynamic: bool) -> None:
    spec = build_spec(BASE, connection={"kind": "mhc", "init": "mhc_lite", "noise": 1.0, "dynamic": dynamic}, seed=3)
    with planted(FAULTS[fault][0]):
        result, recomputed = collect(list(run(spec))), recompute(spec)
    failed = {law for law, _ in failures(verify(spec, result, recomputed))}
    assert FOUND_BY[fault] in failed
    assert ("gauge" in failed) == (fault == "H_res transposed" and not dynamic)


NO_NORM: dict[str, Any] = {"depth": 64, "connection": {"kind": "residual"}, "block": {"norm_position": "none"}}


@pytest.mark.full
@pytest.mark.parametrize("dtype", ["float32", pytest.param("float64", marks=pytest.mark.full)])
def test_a_kernel_that_loses_the_gradient_of_saturated_attention_is_found(dtype: str) -> None:
    """By a formula that does not use the kernel, and by what a small move of the state does."""
    spec = build_spec({}, **NO_NORM, dtype=dtype, device="cpu")
    failed = failures(verify(spec, collect(list(run(spec))), recompute(spec)))
    assert {"attention", "adjoint"}.isdisjoint(law for law, _ in failed)
    with planted(fuse_attention):
        failed = failures(verify(spec, collect(list(run(spec))), recompute(spec)))
    assert {"attention", "adjoint"} <= {law for law, _ in failed}


def test_another_temperature_of_attention_is_found() -> None:
    spec = build_spec(BASE, connection={"kind": "residual"}, seed=3)
    with planted(cool_attention):
        failed = failures(verify(spec, collect(list(run(spec))), recompute(spec)))
    assert ("attention", "branch_out_rms") in failed


@pytest.mark.parametrize("text", ["a", "abab"])
def test_tokens_that_are_nearly_the_same_fail_no_relation(text: str) -> None:
    """Rounding decides which of them a saturated query sees."""
    block = {"norm_position": "none", "branch_scale": 3.0}
    spec = build_spec(BASE, depth=24, connection={"kind": "residual"}, block=block, input={"text": text}, seed=3)
    assert failures(verify(spec, collect(list(run(spec))), recompute(spec))) == []


def test_every_check_says_what_it_can_find_and_what_not() -> None:
    for text in [*DETECTS.values(), *OF_RECORDS.values()]:
        assert text.startswith("Finds ")
        assert "It cannot find " in text


def test_free_mixing_of_another_size_is_found() -> None:
    told = build_spec(BASE, connection={"kind": "hc", "noise": 0.3})
    other = build_spec(BASE, connection={"kind": "hc", "noise": 0.4})
    failed = failures(verify(told, collect(list(run(other))), recompute(told)))
    assert ("drift_size", "h_res") in failed
