"""Runs of presets, as they ship, pass Verify: some of each kind, and all before a release."""

import pytest

from mhc_core.checks.check import to_verdict
from mhc_core.checks.recomputation import recompute
from mhc_core.checks.verification import verify
from mhc_core.spec import RunSpec
from mhc_scope.presets.records import SPECS, read_result

pytestmark = pytest.mark.full


def list_properties(spec: RunSpec) -> set[tuple[str, object]]:
    """What decides how a run is recomputed, and how much rounding moves it; tests of the core verify every family."""
    family = spec.family
    return {
        ("input", spec.input.kind),
        ("norm", (spec.block.norm_position, spec.block.kind)),
        ("type", spec.dtype),
        ("trains", spec.train.steps > 0),
        ("edited", bool(spec.edits)),
        ("dynamic", spec.connection.is_dynamic),
        ("family", (family.has_streams, family.has_mixing, family.norm_bounded)),
    }


def list_cases() -> list[object]:
    """All runs, the cheapest first; those whose properties others have are left to `make trials`: they take minutes."""
    cases, seen = list[object](), set[tuple[str, object]]()
    for spec in sorted(SPECS.values(), key=lambda spec: spec.depth * spec.width**2 * spec.input.batch):
        is_like_others = list_properties(spec) <= seen
        cases.append(pytest.param(spec, marks=pytest.mark.trial if is_like_others else (), id=spec.id[:8]))
        seen |= list_properties(spec)
    return cases


@pytest.mark.parametrize("spec", list_cases())
def test_every_preset_passes_verify(spec: RunSpec) -> None:
    checks = verify(spec, read_result(spec.id), recompute(spec))
    assert [(check.name, check.metric, check.layer) for check in checks if check.verdict == "fails"] == []
    assert to_verdict(checks) == "holds"
