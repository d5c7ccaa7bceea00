"""docs/drift.md says what its results hold, and so does the help of the drift's slider."""

import runpy
from typing import Any

import numpy as np
import pytest

from benchmarks.drift import EVERY, Plan, measure_held_out_loss, train_plainly
from mhc_core.spec import RunSpec
from mhc_core.stack import build_stack
from tests.conftest import ROOT

pytestmark = pytest.mark.full

DOCS = ROOT / "docs"
WRITE = "`python docs/drift.py` writes it"


@pytest.fixture(scope="module")
def script() -> dict[str, Any]:
    return runpy.run_path(str(DOCS / "drift.py"))


@pytest.fixture(scope="module")
def runs(script: dict[str, Any]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = script["read_results"]()
    return found


def pick(runs: list[dict[str, Any]], family: str, **fields: Any) -> list[dict[str, Any]]:
    return [
        run
        for run in runs
        if run["connection"].split()[0] == family and not run["stopped"] and fields.items() <= run.items()
    ]


def test_the_document_and_its_pictures_are_those_of_the_results(
    script: dict[str, Any], runs: list[dict[str, Any]]
) -> None:
    assert (DOCS / "drift.md").read_text() == script["describe"](runs), WRITE
    assert (DOCS / "drift-gain.svg").read_text() == script["draw_gain"](runs), WRITE
    assert (DOCS / "drift-loss.svg").read_text() == script["draw_loss"](runs), WRITE


def test_the_tables_hold_the_results(runs: list[dict[str, Any]]) -> None:
    """Recomputed from the results by other means than the script's: medians, products' gains, losses at equal "
    "compute."""
    text = (DOCS / "drift.md").read_text()
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in text.splitlines() if line.startswith("| ")]
    listed = [row for row in rows if len(row) == 13 and row[0] != "layers"]
    assert sum(int(row[4]) for row in listed) == len(runs)
    for depth, connection, lr, steps, seeds, drift, fwd, bwd, _, _, held_out, spikes, stopped in listed:
        some = [
            run
            for run in runs
            if (str(run["depth"]), run["connection"], f"{run['lr']:g}", str(run["steps"]))
            == (depth, connection, lr, steps)
        ]
        assert len(some) == int(seeds)
        assert float(held_out) == pytest.approx(np.median([run["held_out"][-1] for run in some]), abs=6e-4)
        assert (int(spikes), int(stopped)) == tuple(sum(run[key] for run in some) for key in ("spikes", "stopped"))
        if connection != "residual":
            key = "drift_h_res" if connection.startswith("HC") else "drift"
            assert float(drift) == pytest.approx(np.median([run[key][-1] for run in some]), abs=2e-3)
            for said, way in ((fwd, "gain_fwd"), (bwd, "gain_bwd")):
                gain = 10 ** np.median([run[way][-1] for run in some])
                number, _, unit = said.partition(" ")
                shown = float(number.replace(",", "")) * (1e6 if unit == "million" else 1)
                assert shown == pytest.approx(gain, rel=0.006, abs=0.006)


def test_losses_are_compared_where_compute_is_equal(script: dict[str, Any], runs: list[dict[str, Any]]) -> None:
    rows = {row["connection"]: row for row in script["compare_losses"](runs, 12)}
    budget = min(run["steps"] * run["flops_a_step"] for run in runs if run["depth"] == 12)
    for name, row in rows.items():
        found = []
        for run in runs:
            if (run["connection"], run["depth"], run["lr"]) == (name, 12, row["lr"]) and run["steps"] < 5000:
                steps = budget / run["flops_a_step"]
                found.append(np.interp(steps, run["at"], run["held_out"]))
        assert set(np.round(row["losses"], 9)) <= set(np.round(found, 9))
        others = [np.median(row["losses"])]
        assert f"| {name} | {row['lr']:g} | {others[0]:.3f} (" in (DOCS / "drift.md").read_text()


def test_the_study_has_what_it_promises(runs: list[dict[str, Any]]) -> None:
    """Sixty runs and more; every connection at every depth, and with three seeds at every rate at 12 layers."""
    kinds = {"residual", "HC static", "HC dynamic", "mHC static", "mHC dynamic"}
    keys = {(run["connection"], run["depth"], run["lr"], run["seed"], run["steps"]) for run in runs}
    assert len(keys) == len(runs) >= 60
    for depth in (12, 24, 64):
        assert {run["connection"] for run in runs if run["depth"] == depth} == kinds
    for lr in (1e-3, 3e-3, 1e-2, 3e-2):
        for seed in (0, 1, 2):
            some = [run for run in runs if (run["depth"], run["lr"], run["seed"]) == (12, lr, seed)]
            assert {run["connection"] for run in some} == kinds


def test_the_findings_hold_in_the_results(runs: list[dict[str, Any]]) -> None:
    """The sentences in bold, of which the numbers follow."""
    hc = pick(runs, "HC", depth=12)
    rates = sorted({run["lr"] for run in hc})
    medians = [np.median([run["drift"][-1] for run in hc if run["lr"] == lr]) for lr in rates]
    assert medians == sorted(medians), "the learning rate sets the drift"
    every = pick(runs, "HC")
    assert all(max(run["gain_fwd"]) > np.log10(1.2) for run in every), "HC's gain grows without any noise"
    assert min(run["rank_one"] for run in every) > 0.7, "trained drift is close to a matrix of rank one in each layer"
    fell = [max(run["gain_fwd"][-1], run["gain_bwd"][-1]) < max(run["gain_fwd"] + run["gain_bwd"]) for run in every]
    assert np.mean(fell) > 0.5, "the gain often peaks before the end"
    assert max(max(run["gain_fwd"]) for run in pick(runs, "mHC")) < 0.01, "mHC keeps its forward gain"
    assert max(max(run["gain_bwd"]) for run in pick(runs, "mHC")) < np.log10(2), "and nearly its backward gain"


def test_the_help_of_the_drift_says_what_was_measured(script: dict[str, Any], runs: list[dict[str, Any]]) -> None:
    text = RunSpec.model_json_schema()["$defs"]["ConnectionSpec"]["properties"]["noise"]["description"]
    assert f"a learning rate of {0.003} and by" in text
    for lr, said in ((3e-3, "by 0.1 at a learning rate of 0.003"), (1e-2, "by 0.4 at 0.01")):
        found = pick(runs, "HC", depth=12, lr=lr)
        assert f"by {np.median([run['drift_h_res'][-1] for run in found]):.1f} at" in said
        assert said in text
        ratios = [script["end_gain"](run) / script["expect_gain"](12, script["find_drift"](run)) for run in found]
        assert np.median(ratios) > 1.5, "a larger gain than a random drift of that size"
    assert script["find_drift_of_gain"](60, 3000) == pytest.approx(0.35, abs=0.005)


def test_the_story_counts_the_comparisons_of_losses(script: dict[str, Any], runs: list[dict[str, Any]]) -> None:
    """How often one stream has the lower loss at equal compute, in the median over seeds: the last step says it."""
    rows = [row for depth in (12, 24, 64) for row in script["compare_losses"](runs, depth)]
    differences = [np.median(row["differences"]) for row in rows if row["connection"] != "residual"]
    assert all(difference > 0 for difference in differences)
    said = f"at equal compute, one had lower loss in all {len(differences)} comparisons"
    assert said in (ROOT / "static" / "js" / "cards" / "storysteps.js").read_text()


def test_the_start_of_a_run_can_be_repeated(runs: list[dict[str, Any]]) -> None:
    """Float32 differs from processor to processor in its last digits: after 250 steps losses agree to a few percent."""
    (run,) = pick(runs, "HC", connection="HC static", depth=12, lr=1e-2, seed=1)
    stack = build_stack(Plan("HC static", 12, 1e-2, 1, 2000).to_spec())
    steps = train_plainly(stack)
    for _ in range(EVERY):
        next(steps)
    assert run["at"][1] == EVERY
    assert measure_held_out_loss(stack) == pytest.approx(run["held_out"][1], rel=0.02)
