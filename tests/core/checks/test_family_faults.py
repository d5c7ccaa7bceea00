"""Faults in how families join layers, which a run shares with its recomputation, are found by an exact relation."""

from functools import cache
from typing import Any

import pytest

from benchmarks.faults import FAMILY_FAULTS, FAULTS, planted
from benchmarks.laws import FAMILIES, SMALL
from mhc_core.checks.recomputation import recompute
from mhc_core.checks.verification import verify
from mhc_core.measure.run import run
from mhc_core.spec import RunSpec
from tests.core.checks.test_verify import failures
from tests.core.conftest import build_spec, collect

SHORT: dict[str, Any] = SMALL | {"depth": 4, "device": "cpu"}
# Of every fault: a stack in which it can be made, and the check that finds it there.
CASES: dict[str, tuple[tuple[str, str], ...]] = {
    "streams read in reverse order": (
        ("sHC", "read_rule"), ("Gated Residual", "read_rule"), ("H_pre of the layer before, dynamic", "read_rule"),
    ),
    "own H_pre for that of the layer before": (
        ("H_pre of the layer before", "map_pre"), ("H_pre of the layer before, dynamic", "map_pre"),
    ),
    "one gate for all features": (("Gated Residual", "read_rule"),),
    "H_post without its factor 2": (("oHC", "map_post"), ("Gated Residual", "map_post")),
    "H_res made transposed": (
        ("JPmHC", "map_res"), ("oHC", "map_res"), ("TBP-mHC, dynamic", "map_res"), ("weighted residual", "map_res"),
    ),
    "streams that start alike": (("scaled streams", "start_rule"),),
    "mean of the streams as the output": (
        ("Gated Residual", "output_rule"), ("learned head", "output_rule"),
        ("H_pre of the layer before", "output_rule"), ("H_pre of the layer before, dynamic", "output_rule"),
    ),
    "two steps of Newton's method": (("Newton's method", "map_res"),),
    "no map of low rank": (("LAuReL", "layer_rule"),),
    "embedding no source over depth": (("AttnRes, delta", "depth_rule"), ("DenseFormer", "depth_rule")),
    "one output for each block over depth": (
        ("AttnRes, normed values", "depth_rule"), ("DenseFormer, blocks", "depth_rule"),
    ),
    "keys over depth without norm": (("AttnRes", "depth_weights"),),
}  # fmt: skip


@cache
def find_failed(stack: str, fault: str | None) -> set[str]:
    spec = build(stack)
    with planted(FAMILY_FAULTS[fault][0] if fault else None):
        checks = verify(spec, collect(list(run(spec))), recompute(spec))
    assert {check.name for check in checks if check.verdict == "holds"}, "something is compared"
    return {name for name, _ in failures(checks)}


def build(stack: str) -> RunSpec:
    return build_spec(SHORT, connection=FAMILIES[stack])


@pytest.mark.sample(4)
@pytest.mark.parametrize("fault", FAMILY_FAULTS)
def test_a_fault_that_both_share_is_found(fault: str) -> None:
    for stack, finder in CASES[fault]:
        assert FAMILY_FAULTS[fault][1](build(stack)), "the fault can be made there"
        assert find_failed(stack, None) == set(), stack
        assert finder in find_failed(stack, fault), stack


@pytest.mark.full
@pytest.mark.parametrize("stack", list(FAMILIES)[::3])
def test_every_fault_is_found_wherever_it_can_be_made(stack: str) -> None:
    spec = build(stack)
    for name, (fault, applies) in (FAULTS | FAMILY_FAULTS).items():
        if applies(spec):
            with planted(fault):
                found = failures(verify(spec, collect(list(run(spec))), recompute(spec)))
            assert found, name
