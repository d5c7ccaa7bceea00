"""Faults of attention over depth that a run shares with its recomputation are found; test_family_faults has more."""

from collections.abc import Callable
from typing import Any

import pytest
import torch

from mhc_core.checks.recomputation import recompute
from mhc_core.checks.verification import verify
from mhc_core.layers import depth
from mhc_core.measure.run import run
from tests.core.checks.test_verify import failures
from tests.core.conftest import build_spec, collect

BASE: dict[str, Any] = {
    "depth": 6,
    "width": 16,
    "device": "cpu",
    "block": {"kind": "mlp"},
    "input": {"kind": "gaussian", "batch": 2, "tokens": 8},
}
Patch = pytest.MonkeyPatch


def find_failed(**connection: Any) -> set[str]:
    spec = build_spec(BASE, connection={"kind": "attnres", **connection})
    checks = verify(spec, collect(list(run(spec))), recompute(spec))
    assert {check.name for check in checks if check.verdict == "holds"}, "something is compared"
    return {name for name, _ in failures(checks)}


def plant_keys_without_norm(patch: Patch) -> None:
    plain = depth._attend

    def attend(x: torch.Tensor, query: torch.Tensor, heads: int, *, is_normed: bool) -> Any:
        _, along, inverse = plain(x, query, heads, is_normed=is_normed)
        return torch.softmax(along, 0), along, inverse

    patch.setattr(depth, "_attend", attend)


def plant_softmax_over_samples(patch: Patch) -> None:
    plain = depth._attend

    def attend(x: torch.Tensor, query: torch.Tensor, heads: int, *, is_normed: bool) -> Any:
        _, along, inverse = plain(x, query, heads, is_normed=is_normed)
        return torch.softmax(along * inverse, 1), along, inverse

    patch.setattr(depth, "_attend", attend)


def plant_queries_that_do_not_start_at_0(patch: Patch) -> None:
    patch.setattr(depth, "draw_mixing_noise", lambda spec, count: torch.full((spec.depth, count), 0.01))


def plant_gate_left_out(patch: Patch) -> None:
    plain = depth.DepthAttention.dynamic_mixing

    def make(self: Any, layer: int, state: torch.Tensor) -> Any:
        return plain(self, layer, state)._replace(gate=torch.ones((), dtype=torch.float64))

    patch.setattr(depth.DepthAttention, "dynamic_mixing", make)


FAULTS: dict[str, tuple[Callable[[Patch], None], dict[str, Any], str]] = {
    "keys without their norm": (plant_keys_without_norm, {"noise": 0.3}, "depth_weights"),
    "keys without their norm, queries of 0": (plant_keys_without_norm, {"noise": 0.0}, "depth_weights"),
    "a softmax over samples": (plant_softmax_over_samples, {"noise": 0.3}, "depth_weights"),
    "a softmax over samples, queries of 0": (plant_softmax_over_samples, {"noise": 0.0}, "depth_mean"),
    "queries that do not start at 0": (plant_queries_that_do_not_start_at_0, {"noise": 0.0}, "depth_mean"),
    "a gate left out": (plant_gate_left_out, {"depth_form": "delta_gated"}, "depth_rule"),
}


@pytest.mark.sample(4)
@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_that_both_share_is_found(fault: str, monkeypatch: Patch) -> None:
    plant, connection, finder = FAULTS[fault]
    assert find_failed(**connection) == set()
    plant(monkeypatch)
    assert finder in find_failed(**connection)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("block", [{"branch_scale": 0.0}, {"scaling": "rezero"}])
def test_outputs_of_0_leave_no_gradient_but_rounding(block: dict[str, Any], dtype: str) -> None:
    """The norm before the read-out takes away what a query could change, where the embedding is all there is."""
    spec = build_spec(BASE, connection={"kind": "attnres"}, block=block, dtype=dtype)
    assert failures(verify(spec, collect(list(run(spec))), recompute(spec))) == []
