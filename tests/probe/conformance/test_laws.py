"""Laws are told apart: each matrix is traced back to how it was made."""

import json

import pytest
import torch

from mhc_core.connections.sinkhorn import sinkhorn
from mhc_probe.conformance import check
from mhc_probe.conformance.laws import SCALAR, draw_slow_logits, fit_scalar, fit_sinkhorn
from tests.probe.conformance.wrong import WRONG


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


@pytest.mark.sample(9)
@pytest.mark.parametrize("name", [name for name, wrong in WRONG.items() if wrong.line != "sharing"])
def test_a_failure_can_be_reproduced(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    module, options = WRONG[name].build(), WRONG[name].options
    for failure in check(module, seed=1, **options).failures:
        exec(failure.reproduce, {"module": module, **options})
        assert capsys.readouterr().out, failure


def test_a_report_is_read_by_people_and_programs() -> None:
    report = check(WRONG["H_res applied transposed"].build())
    assert json.loads(report.to_json())["lines"][6]["verdict"] == "fails"
    assert str(report).startswith("Changed, checked as mhc\n")
    assert "\nfails          orientation " in str(report)
    with pytest.raises(KeyError):
        report["colour"]
