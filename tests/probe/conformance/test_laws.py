"""Laws are told apart: each matrix is traced back to how it was made."""

import json
import re

import pytest
import torch

from mhc_core.layers.sinkhorn import sinkhorn
from mhc_probe.conformance import check
from mhc_probe.conformance.detection import DETECTS
from mhc_probe.conformance.laws import SCALAR, draw_slow_logits, fit_scalar, fit_sinkhorn
from tests.conftest import ROOT
from tests.probe.conformance.wrong import WRONG


@pytest.mark.sample(4)
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


@pytest.mark.sample(4)
@pytest.mark.parametrize("name", SCALAR)
def test_maps_of_single_logits_are_found(name: str) -> None:
    logits = torch.tensor([[-3.0, -2.0, 0.5], [0.0, 1.0, 2.5]])
    assert fit_scalar(logits, SCALAR[name](logits.double()))[0] == name


def test_a_report_is_read_by_people_and_programs() -> None:
    report = check(WRONG["H_res applied transposed"].build())
    assert json.loads(report.to_json())["checks"][6]["verdict"] == "fails"
    assert str(report).startswith("Changed, checked as mhc\n")
    assert re.search(r"^fails +orientation ", str(report), re.MULTILINE)
    with pytest.raises(KeyError):
        report["colour"]


def test_every_check_says_what_it_can_find_and_the_document_has_the_same_words() -> None:
    report = check(WRONG["H_res applied transposed"].build())
    assert [one.name for one in report.checks] == list(DETECTS)
    assert {one.name: one.detects for one in report.checks} == DETECTS
    section = (ROOT / "docs" / "check.md").read_text().partition("## The checks\n")[2].partition("## ")[0]
    rows = [row.strip("| ").split(" | ") for row in section.splitlines() if row.startswith("| ")]
    assert dict(rows[1:]) == DETECTS
