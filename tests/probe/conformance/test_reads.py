"""Attention over depth: right reads in several styles pass, and each mistake is named by the check that is about it."""

import runpy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from mhc_core.spec import SpecError
from mhc_probe.conformance import check
from mhc_probe.conformance.depth import CHECKS, DETECTS, SHOWS
from tests.conftest import ROOT
from tests.probe.conformance.reads import RIGHT, WRONG, Read


@pytest.mark.sample(8)
@pytest.mark.parametrize("name", RIGHT)
def test_a_right_read_passes(name: str) -> None:
    report = check(RIGHT[name](), "attnres")
    assert report.passed, str(report)
    assert {one.verdict for one in report.checks} == {"holds"}
    assert [one.name for one in report.checks] == list(CHECKS)


def test_heads_and_normed_values_are_said() -> None:
    assert "in each of 4 slices" in check(RIGHT["heads"](), "attnres")["read"].statement
    report = check(RIGHT["Inkling2"](), "attnres")
    assert "the normed sources" in report["weights"].statement
    assert "normed values, logits over the root" in report["reference"].statement
    assert "plain values, logits not over the root" in check(Read(), "attnres")["reference"].statement


@pytest.mark.sample(4)
@pytest.mark.parametrize("name", WRONG)
def test_a_mistake_is_named(name: str, tmp_path: Path) -> None:
    wanted, build = WRONG[name]
    report = check(build(), "attnres")
    assert not report.passed
    assert report[wanted].verdict == "fails", str(report)
    assert report[wanted].likely
    (tmp_path / "show.py").write_text(report[wanted].reproduce)
    runpy.run_path(str(tmp_path / "show.py"), {"module": build()})


@pytest.mark.sample(4)
@pytest.mark.parametrize("name", ["detached keys", "keys without a norm", "a bias by age", "dropout of weights"])
def test_only_what_is_about_the_mistake_fails(name: str) -> None:
    wanted, build = WRONG[name]
    about = {wanted, "reference"} if wanted not in ("gradients", "training mode") else {wanted}
    failed = {one.name for one in check(build(), "attnres").failures}
    assert failed <= about | {"other sources", "source order"}, failed


def test_the_module_does_not_change() -> None:
    module = Read()
    check(module, "attnres")
    assert module.training
    assert (module.query == 0).all()
    assert module.query.grad is None


@pytest.mark.parametrize(
    ("options", "field"),
    [({"rounds": 5}, "rounds"), ({"dtype": "bfloat16"}, "dtype"), ({"compiled": True}, "compiled")],
)
def test_options_of_connections_are_refused(options: dict[str, Any], field: str) -> None:
    with pytest.raises(SpecError, match=f"{field}: got .*, wanted nothing: attnres has no such option"):
        check(Read(), "attnres", **options)


@pytest.mark.parametrize("build", [lambda: nn.Linear(8, 8), lambda: nn.LayerNorm(32)])
def test_what_takes_no_sources_is_refused(build: Callable[[], nn.Module]) -> None:
    with pytest.raises(SpecError, match="takes sources in a list"):
        check(build(), "attnres")


def test_each_check_is_described_and_can_be_reproduced() -> None:
    assert list(DETECTS) == list(CHECKS)
    assert set(SHOWS) == set(CHECKS) - {"source order"}  # which is a design, and never fails
    text = (ROOT / "docs" / "check.md").read_text()
    section = text.partition("## Attention over depth\n")[2].partition("\n## ")[0]
    rows = [line.strip("| ").split(" | ") for line in section.splitlines() if line.startswith("| ")]
    assert {row[0]: row[1] for row in rows if row[0] in DETECTS} == DETECTS


def test_positions_over_depth_are_a_design() -> None:
    class Positioned(Read):
        def __init__(self) -> None:
            super().__init__()
            self.place = nn.Parameter(torch.zeros(6, 32))

        def make_keys(self, stacked: torch.Tensor) -> torch.Tensor:
            return super().make_keys(stacked) + self.place[: len(stacked), None, None]

    report = check(Positioned(), "attnres")
    assert report["source order"].verdict == "design"
