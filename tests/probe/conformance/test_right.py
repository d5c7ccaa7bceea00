"""No right implementation fails, whatever style it is written in."""

import pytest
import torch
from torch import nn

from mhc_core.layers.connections import build_connection
from mhc_core.spec import parse_spec
from mhc_probe.conformance import check
from mhc_probe.conformance.options import FAMILIES
from tests.probe.conformance.plain import WIDTH, PlainMHC
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


@pytest.mark.full
@pytest.mark.parametrize("kind", [kind for kind in FAMILIES if kind != "gated"])
def test_our_own_families_are_not_accused(kind: str) -> None:
    connection = {"kind": kind, "streams": 4, "dynamic": True, "init": "megatron"}
    spec = parse_spec({"depth": 2, "width": WIDTH, "block": {"kind": "mlp"}, "connection": connection})
    mixers = build_connection(spec).mixers
    assert isinstance(mixers, nn.ModuleList)
    report = check(mixers, kind)
    assert report.passed, str(report)
    assert report["dynamic part"].verdict == "holds"
    assert report["sharing"].verdict == "holds"
    # Skew matrices have a diagonal of zeros, and the identity has no gate.
    dead = {"orthostochastic": "b_res (4 entries)", "go_mhc": "b_res (8 entries)", "identity_hc": "a (1 entry)"}
    assert dead.get(kind, "") in report["gradients"].statement
    assert report["gradients"].verdict == ("design" if kind in dead else "holds")
