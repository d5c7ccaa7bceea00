"""Each mistake is named by the line that is about it, and the sound module by none."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn

from mhc_core.attach.conformance import check
from tests.core.conformance.more_mutants import DetachedProjection, FollowsState, MeanRead
from tests.core.conformance.mutants.bf16 import Bf16
from tests.core.conformance.mutants.detached import Detached
from tests.core.conformance.mutants.large_eps import LargeEps
from tests.core.conformance.mutants.mean_for_sum import reduce
from tests.core.conformance.mutants.missing_exp import MissingExp
from tests.core.conformance.mutants.no_bias import NoBias
from tests.core.conformance.mutants.order_swapped import OrderSwapped
from tests.core.conformance.mutants.post_not_doubled import PostNotDoubled
from tests.core.conformance.mutants.rows_only import RowsOnly
from tests.core.conformance.mutants.shared import Shared
from tests.core.conformance.mutants.stale_pre import StalePre
from tests.core.conformance.mutants.transposed import Transposed
from tests.core.conformance.mutants.unused import Unused
from tests.core.conformance.mutants.wrong_axis import WrongAxis
from tests.core.conformance.plain import PlainMHC

# What is handed to the check, its options, the line that must fail, and the others that may: they see the same fault.
MUTANTS: dict[str, tuple[Callable[[], nn.Module], dict[str, Any], str, set[str]]] = {
    "transposed": (Transposed, {}, "orientation", set()),
    "unused": (Unused, {}, "mixing applied", {"gradients"}),
    "bf16": (Bf16, {}, "precision", set()),
    "missing exp": (MissingExp, {}, "exp", set()),
    "rows only": (RowsOnly, {}, "columns", set()),
    "order swapped": (OrderSwapped, {}, "order", set()),
    "H_post not doubled": (PostNotDoubled, {}, "range of H_post", {"reference"}),
    "no bias": (NoBias, {}, "bias", set()),
    "eps too large": (LargeEps, {}, "eps", set()),
    "detached": (Detached, {}, "gradients", set()),
    "mean for sum": (PlainMHC, {"reduce": reduce, "output": "sum"}, "reduce", set()),
    "mean read": (MeanRead, {}, "range of H_pre", {"reference"}),
    "detached projection": (DetachedProjection, {}, "gradients", set()),
    "follows bfloat16": (FollowsState, {"dtype": "bfloat16"}, "precision in bfloat16", set()),
    "wrong axis of tokens": (WrongAxis, {}, "token axis", {"reference"}),
}


@pytest.mark.sample(2)
@pytest.mark.parametrize("name", MUTANTS)
@pytest.mark.parametrize("seed", [0, pytest.param(1, marks=pytest.mark.full), pytest.param(2, marks=pytest.mark.full)])
def test_a_mutant_is_named(name: str, seed: int) -> None:
    build, options, line, may = MUTANTS[name]
    report = check(build(), seed=seed, **options)
    failed = {failure.name for failure in report.failures}
    assert line in failed, str(report)
    assert failed <= {line} | may, str(report)
    for failure in report.failures:
        assert failure.expected, failure
        assert failure.got, failure


@pytest.mark.full
def test_layers_that_share_a_parameter_are_named() -> None:
    report = check(Shared)
    assert [line.name for line in report.failures] == ["sharing"], str(report)
    assert "phi" in report["sharing"].got
    model = nn.Sequential(Shared(), Shared())
    assert [line.name for line in check(model).failures] == ["sharing"]
    one = PlainMHC()
    assert "sharing" in {line.name for line in check(nn.ModuleList([one, one])).failures}
    assert check(PlainMHC)["sharing"].verdict == "holds"


def test_a_mapping_that_follows_its_state_is_a_design_in_float32() -> None:
    report = check(FollowsState())
    assert report.passed
    assert report["precision in bfloat16"].verdict == "design"


def test_a_stale_h_pre_is_a_design() -> None:
    report = check(StalePre())
    assert report.passed, str(report)
    assert report["timing"].verdict == "design"
    assert report["timing"].why.startswith("design: stale H_pre")


@pytest.mark.sample(7)
@pytest.mark.parametrize("seed", range(20))
def test_the_sound_module_is_not_accused(seed: int) -> None:
    torch.manual_seed(seed)
    streams = 2 + seed % 4
    module = PlainMHC(streams, streams + 8 + seed)
    report = check(module, seed=seed, dtype="bfloat16")
    assert report.passed, str(report)
    named = [line.name for line in report.lines if line.verdict == "not applicable"]
    assert named == ["start", "expand", "reduce", "sharing", "compile"], str(report)
