"""No right implementation fails, whatever style it is written in."""

import pytest
import torch

from mhc_probe.conformance import check
from tests.probe.conformance.plain import PlainMHC
from tests.probe.conformance.right import RIGHT

NEED_OPTIONS = {"start", "expand", "reduce", "sharing", "compile"}
# Lines that legitimately say nothing about these.
NOT_APPLICABLE = {
    "static": {"dynamic part", "gate", "norm", "logits", "precision in bfloat16", "reference"},
    "projection of low rank": {"reference"},
    "in place": {"precision in bfloat16"},
    "stored transposed, streams second": {"precision in bfloat16"},
}


def test_there_are_twelve_and_more() -> None:
    assert len(RIGHT) >= 12


@pytest.mark.sample(8)
@pytest.mark.parametrize("name", RIGHT)
def test_a_right_implementation_passes(name: str) -> None:
    torch.manual_seed(0)
    right = RIGHT[name]
    report = check(right.build(), **right.options)
    assert report.passed, str(report)
    by_verdict = {verdict: {one.name for one in report.checks if one.verdict == verdict} for verdict in VERDICTS}
    assert by_verdict["not applicable"] - NEED_OPTIONS == NOT_APPLICABLE.get(name, set()), str(report)
    assert not by_verdict["skipped"], str(report)


VERDICTS = ("holds", "design", "skipped", "not applicable")


@pytest.mark.full
@pytest.mark.parametrize("streams", range(2, 6))
def test_the_plain_module_passes_in_all_sizes(streams: int) -> None:
    torch.manual_seed(streams)
    report = check(PlainMHC(streams, 5 + 5 * streams), seed=streams, dtype="bfloat16")
    assert report.passed, str(report)
    named = {one.name for one in report.checks if one.verdict == "not applicable"}
    assert named == NEED_OPTIONS, str(report)
