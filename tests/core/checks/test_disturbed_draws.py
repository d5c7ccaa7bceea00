"""How often Verify refuses honest dynamic mixing of bfloat16 states: one random disturbance is too few."""

import pytest

from mhc_core.checks import recomputation
from mhc_core.checks.verification import verify
from mhc_core.spec import RunSpec, parse_spec
from tests.core.conftest import measure

pytestmark = pytest.mark.full

SEEDS = 24


def build(seed: int) -> RunSpec:
    """Of a single layer every number is one of its own, which no other makes safe."""
    connection = {"kind": "orthogonal", "dynamic": True, "init": "deepseek_v4", "noise": 0.0}
    shape = {"depth": 1, "width": 16, "dtype": "bfloat16", "device": "cpu", "seed": seed}
    return parse_spec(
        {**shape, "connection": connection, "block": {"kind": "mlp"}, "input": {"kind": "gaussian", "tokens": 8}}
    )


def count_refused() -> int:
    specs = [build(seed) for seed in range(SEEDS)]
    failed = [
        check
        for spec in specs
        for check in verify(spec, measure(spec), recomputation.recompute(spec))
        if check.verdict == "fails" and check.name == "recomputation"
    ]
    return len(failed)


def test_three_draws_suffice_where_one_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    assert count_refused() == 0
    monkeypatch.setattr(recomputation, "_count_draws", lambda spec: 1)
    assert count_refused() > 0


def test_only_dynamic_mixing_of_bfloat16_is_disturbed_more_than_once() -> None:
    spec = build(0)
    static = {"connection": spec.connection.model_copy(update={"dynamic": False})}
    assert recomputation._count_draws(spec) == 3
    for update in ({"dtype": "float32"}, {"dtype": "float64"}, static):
        assert recomputation._count_draws(spec.model_copy(update=update)) == 1
