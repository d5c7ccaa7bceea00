"""Laws are told apart: each matrix is traced back to how it was made."""

import json

import pytest
import torch

from mhc_core.attach.conformance import check
from mhc_core.attach.conformance.laws import SCALAR, draw_slow_logits, fit_scalar, fit_sinkhorn
from mhc_core.connections.math.sinkhorn import sinkhorn
from tests.core.conformance.mutants.bf16 import Bf16
from tests.core.conformance.mutants.missing_exp import MissingExp
from tests.core.conformance.mutants.no_bias import NoBias
from tests.core.conformance.mutants.order_swapped import OrderSwapped
from tests.core.conformance.mutants.transposed import Transposed
from tests.core.conformance.mutants.unused import Unused
from tests.core.conformance.mutants.wrong_axis import WrongAxis
from tests.core.conformance.plain import PlainMHC


@pytest.mark.sample("values")
@pytest.mark.parametrize("rounds", [5, 19, 20, 21, 40])
@pytest.mark.parametrize("eps", [0.0, 1e-6, 1e-3])
@pytest.mark.parametrize("last", ["rows", "columns"])
def test_the_law_of_our_sinkhorn_is_found(rounds: int, eps: float, last: str) -> None:
    logits = draw_slow_logits(4, rounds, seed=rounds)
    made = sinkhorn(logits if last == "rows" else logits.T, rounds, eps)
    law, error = fit_sinkhorn(logits, made if last == "rows" else made.T)
    assert error < 1e-5
    assert (law.last, law.rounds, law.halves) == (last, rounds, "both")
    assert law.eps == eps


@pytest.mark.parametrize("name", SCALAR)
def test_maps_of_single_logits_are_found(name: str) -> None:
    logits = torch.tensor([[-3.0, -2.0, 0.5], [0.0, 1.0, 2.5]])
    assert fit_scalar(logits, SCALAR[name](logits.double()))[0] == name


@pytest.mark.sample(3)
@pytest.mark.parametrize("build", [Bf16, MissingExp, NoBias, OrderSwapped, Transposed, Unused, WrongAxis])
def test_a_failure_can_be_reproduced(build: type[PlainMHC], capsys: pytest.CaptureFixture[str]) -> None:
    module = build()
    for failure in check(module).failures:
        if failure.reproduce:
            exec(failure.reproduce, {"module": module})
            assert capsys.readouterr().out, failure


def test_a_report_is_read_by_people_and_programs() -> None:
    report = check(Transposed())
    assert json.loads(report.to_json())["lines"][5]["verdict"] == "fails"
    assert str(report).startswith("Transposed, checked as mhc\n")
    assert "\nfails          orientation " in str(report)
    with pytest.raises(KeyError):
        report["colour"]
