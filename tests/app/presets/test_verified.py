"""Every run of every preset passes Verify."""

import pytest

from mhc_core.check import to_verdict
from mhc_core.measure.recomputation import recompute
from mhc_core.measure.run import run
from mhc_core.measure.verification import verify
from mhc_core.record.result import Result
from mhc_core.spec import RunSpec
from mhc_scope.presets import PRESETS

SPECS = {spec.id: spec for preset in PRESETS for spec in preset.specs}


def list_by_cost() -> list[RunSpec]:
    """The cheapest first: the fast suite runs that one alone."""
    return sorted(SPECS.values(), key=lambda spec: (spec.train.steps, spec.depth * spec.width**2))


@pytest.mark.sample(1000)
@pytest.mark.parametrize("spec", list_by_cost(), ids=lambda spec: spec.id[:8])
def test_every_preset_passes_verify(spec: RunSpec) -> None:
    one = spec.model_copy(update={"seeds": 1})
    result = Result()
    for frame in run(one):
        result.add(frame)
    checks = verify(one, result, recompute(one))
    assert [(check.name, check.metric, check.layer) for check in checks if check.verdict == "fails"] == []
    assert to_verdict(checks) == "holds"
