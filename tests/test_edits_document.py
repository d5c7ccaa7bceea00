"""docs/edits.md shows what docs/interventions.json holds, and says of it what is true."""

import json
import re
import statistics
from typing import Any

import pytest

from benchmarks.interventions import list_experiments
from mhc_core.spec.edit import DOES
from tests.conftest import ROOT

TEXT = (ROOT / "docs" / "edits.md").read_text()
NAMES = {
    "H_res is the identity in the late half": "identity late",
    "H_res is the identity in the early half": "identity early",
    "H_res is its mean over tokens everywhere": "mean over tokens",
    "H_res keeps its three largest entries in each row": "three largest entries",
    "H_res is uniform everywhere": "uniform",
    "cut": "cut",
    "cut, with the mixing frozen to that of the run without edits": "cut, mixing frozen",
    "cut, and restored four layers later": "cut, restored 4 layers later",
}


@pytest.fixture(scope="module")
def runs() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads((ROOT / "docs" / "interventions.json").read_text())
    return found


def list_changes(runs: list[dict[str, Any]], name: str) -> list[float]:
    return [100 * run["experiments"][name]["perplexity_change"] for run in runs]


def test_every_experiment_was_run_on_three_seeds(runs: list[dict[str, Any]]) -> None:
    assert [run["seed"] for run in runs] == [0, 1, 2]
    assert all(run["experiments"].keys() == list_experiments().keys() for run in runs)


@pytest.mark.parametrize("label", NAMES)
def test_a_row_shows_the_median_and_the_range(label: str, runs: list[dict[str, Any]]) -> None:
    (row,) = re.findall(rf"^\| {re.escape(label)} \|(.*)\|$", TEXT, re.M)
    cells = [cell.strip() for cell in row.split("|")]
    changes = list_changes(runs, NAMES[label])
    assert cells[-2] == f"{statistics.median(changes):+.2f} %"
    assert cells[-1] == f"{min(changes):+.2f} to {max(changes):+.2f} %"


def test_what_is_said_of_the_order_is_true(runs: list[dict[str, Any]]) -> None:
    late, early, mean = (list_changes(runs, name) for name in ("identity late", "identity early", "mean over tokens"))
    assert all(one > other for one, other in zip(early, late, strict=True))
    assert all(one > other for one, other in zip(mean, late, strict=True))
    assert {f"{run['streams_in_use']:.2f}" for run in runs} == {"1.08", "1.10"}


def test_the_table_of_edits_lists_what_can_be_done() -> None:
    listed = dict(re.findall(r"^\| (`h_res`|`stream`|`state`|`branch`|`h_pre`, `h_post`) \|.*\| (.*) \|$", TEXT, re.M))
    for what in ("stream", "state", "branch"):
        assert listed[f"`{what}`"].split(", ") == list(DOES[what])
    assert set(listed["`h_pre`, `h_post`"].split(", ")) == set(DOES["h_pre"]) == set(DOES["h_post"])
    assert set(DOES["h_res"]) == {*DOES["h_pre"], "identity"}
    for do in {do for dos in DOES.values() for do in dos}:
        assert re.search(rf"^\| (?:\w+, )?{do} \|", TEXT, re.M), do
