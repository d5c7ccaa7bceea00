"""docs/edits.md shows what docs/interventions.json holds, and says of it what is true."""

import json
import re
import statistics
from typing import Any

import pytest

from benchmarks.interventions import list_experiments, list_pairs
from mhc_core.spec.edit import DOES
from tests.conftest import ROOT

TEXT = (ROOT / "docs" / "edits.md").read_text()
NAMES = {
    "H_res is the identity in the late half": "identity late",
    "H_res is the identity in the early half": "identity early",
    "H_res is its mean over tokens everywhere": "mean over tokens",
    "H_res keeps its three largest entries in each row": "three largest entries",
    "H_res is uniform everywhere": "uniform",
    "stream 1 cut": "cut of stream 1",
    "stream 2 cut": "cut of stream 2",
    "stream 3 cut": "cut of stream 3",
    "stream 4 cut": "cut of stream 4",
    "stream 2 cut, with the mixing frozen to that of the run without edits": "cut, mixing frozen",
    "stream 2 cut, and restored four layers later": "cut, restored 4 layers later",
    "streams 1 and 4 cut": "cut of streams 1 and 4",
    "streams 2 and 3 cut": "cut of streams 2 and 3",
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
    assert {f"{run['streams_in_use']:.2f}" for run in runs} == {"1.08"}


def test_what_is_said_of_cut_streams_is_true(runs: list[dict[str, Any]]) -> None:
    cuts = [list_changes(runs, f"cut of stream {stream}") for stream in range(1, 5)]
    pairs = {(1 + a, 1 + b): list_changes(runs, f"cut of streams {1 + a} and {1 + b}") for a, b in list_pairs()}
    unequal = [max(of_seed) / min(of_seed) for of_seed in zip(*cuts, strict=True)]
    ratios = [pairs[a, b][seed] / (cuts[a - 1][seed] + cuts[b - 1][seed]) for a, b in pairs for seed in range(3)]
    cosines = [cosine for run in runs for cosine in run["similarity"]]
    assert f"{min(unequal):.1f} to {max(unequal):.1f} times as much as the cheapest" in TEXT
    assert f"{min(ratios):.1f} to {max(ratios):.1f} times as much as the sum" in TEXT
    assert f"mean cosine of {min(cosines):.2f} to {max(cosines):.2f}" in TEXT
    cut, frozen, restored = (
        list_changes(runs, name) for name in ("cut", "cut, mixing frozen", "cut, restored 4 layers later")
    )
    assert statistics.median(frozen) > statistics.median(cut)
    assert all(after < before for after, before in zip(restored, cut, strict=True))
    assert statistics.median(restored) / statistics.median(cut) == pytest.approx(2 / 3, abs=0.05)


def test_the_table_of_edits_lists_what_can_be_done() -> None:
    listed = dict(re.findall(r"^\| (`h_res`|`stream`|`state`|`branch`|`h_pre`, `h_post`) \|.*\| (.*) \|$", TEXT, re.M))
    for what in ("stream", "state", "branch"):
        assert listed[f"`{what}`"].split(", ") == list(DOES[what])
    assert set(listed["`h_pre`, `h_post`"].split(", ")) == set(DOES["h_pre"]) == set(DOES["h_post"])
    assert set(DOES["h_res"]) == {*DOES["h_pre"], "identity"}
    for do in {do for dos in DOES.values() for do in dos}:
        assert re.search(rf"^\| (?:\w+, )?{do} \|", TEXT, re.M), do
