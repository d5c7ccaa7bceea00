"""Every run of every preset, as it ships, passes Verify."""

import pytest

from mhc_core.check import to_verdict
from mhc_core.measure.recomputation import recompute
from mhc_core.measure.run import run
from mhc_core.measure.verification import verify
from mhc_core.record.result import Result
from mhc_core.spec import RunSpec
from mhc_scope.presets import PRESETS
from mhc_scope.presets.records import read_result

pytestmark = pytest.mark.full

SPECS = {spec.id: spec for preset in PRESETS for spec in preset.specs}


def list_by_cost() -> list[RunSpec]:
    """The cheapest first: the fast suite runs that one alone, and `make test-rest` each third."""
    return sorted(SPECS.values(), key=lambda spec: (spec.train.steps, spec.depth * spec.width**2))


def measure_one(spec: RunSpec) -> Result:
    """A new run: records of several seeds have medians."""
    result = Result()
    for frame in run(spec):
        result.add(frame)
    return result


@pytest.mark.sample(1000, 3)
@pytest.mark.parametrize("spec", list_by_cost(), ids=lambda spec: spec.id[:8])
def test_every_preset_passes_verify(spec: RunSpec) -> None:
    one = spec.model_copy(update={"seeds": 1})
    checks = verify(one, measure_one(one) if spec.seeds > 1 else read_result(spec.id), recompute(one))
    assert [(check.name, check.metric, check.layer) for check in checks if check.verdict == "fails"] == []
    assert to_verdict(checks) == "holds"
