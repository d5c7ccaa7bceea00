"""Published initialisations: complete, defined where the documentation says, and with numbers that hold."""

import math
from functools import cache
from typing import get_args

import numpy as np
import pytest

from mhc_core.record.result import Result
from mhc_core.spec.connection import InitPreset
from mhc_scope.pages.initialisations import build_rows, describe_training
from mhc_scope.presets.initialisations import INITIALISATIONS, PRESETS_OF_INITIALISATION
from mhc_scope.presets.learning import LAYER, read_learning
from mhc_scope.presets.records import read_result
from tests.conftest import ROOT
from tests.core.conftest import measure

SECTION = (ROOT / "docs" / "equations.md").read_text().partition("| start |")[2].partition("\n\n")[0]
EVERYDAY = ("deepseek_v4", "lucidrains")
KEYS = [key if key in EVERYDAY else pytest.param(key, marks=pytest.mark.full) for key in INITIALISATIONS]
SATURATED = math.exp(-8)
# By key: the diagonal of H_res without projections, and what they may change of it.
DIAGONALS = {
    "residual": (1 / (1 + 3 * SATURATED), 1e-12),
    "hy_v4": (1.0, 0.0),
    # Of 23 other permutations of four streams, a stream stays in place in 5.
    "mhc_lite": ((1 + 5 * SATURATED) / (1 + 23 * SATURATED), 1e-12),
    "scaled": ((1 + 5 * SATURATED) / (1 + 23 * SATURATED), 1e-12),
    "lucidrains": (math.e / (math.e + 3), 1e-12),
    "c_mhc": (1 - 4 / 24 * 3 / 4, 1e-4),
    "megatron": (0.25, 2e-3),
    "deepseek_v4": (0.25, 2e-2),
    "deepseek_v41": (0.25, 2e-2),
}


@cache
def measure_untrained(key: str) -> Result:
    return measure(INITIALISATIONS[key].build_spec(is_trained=False))


def test_every_value_of_init_is_there() -> None:
    assert {each.build_spec().connection.init for each in INITIALISATIONS.values()} == set(get_args(InitPreset))
    assert DIAGONALS.keys() == INITIALISATIONS.keys() == read_learning().keys()


def test_stored_numbers_are_of_these_runs() -> None:
    """`python -m mhc_scope.presets.learning` measures what is missing."""
    assert {key: each.id for key, each in read_learning().items()} == {
        key: each.build_spec().id for key, each in INITIALISATIONS.items()
    }


@pytest.mark.parametrize("key", KEYS)
def test_stored_numbers_are_those_of_runs_and_of_closed_forms(key: str) -> None:
    stored, before = read_learning()[key], measure_untrained(key)
    for name in ("h_pre", "h_post"):
        weights = before.matrices[name][LAYER]
        assert getattr(stored, name) == pytest.approx((weights.max(), weights.min()), rel=1e-4)
    diagonal, spread = DIAGONALS[key]
    assert stored.diagonal == pytest.approx(np.diag(before.matrices["h_res"][LAYER]).mean(), rel=1e-4)
    assert stored.diagonal == pytest.approx(diagonal, abs=spread + 1e-5)
    signal = before.layers.get("mixing_signal")
    if stored.share is None:
        assert signal is None or signal.max() < 1e-12, "what rounding leaves in float64"
        return
    assert signal is not None
    assert stored.signal == pytest.approx(np.median(signal), rel=1e-3)
    assert stored.share == pytest.approx(np.nanmedian(before.layers["mixing_grad_share"]), rel=1e-3)


@pytest.mark.parametrize("key", KEYS)
def test_the_distance_is_that_of_the_shipped_records(key: str) -> None:
    run = INITIALISATIONS[key].build_spec()
    if not any(run in preset.specs for preset in PRESETS_OF_INITIALISATION):
        assert key == "deepseek_v41", "the same initialisation as deepseek_v4"
        return
    after = read_result(run.id)
    change = after.matrices["h_res"] - measure_untrained(key).matrices["h_res"]
    moved = np.median(np.sqrt((change**2).sum((1, 2))))
    # Where rounding moves it, that of another machine is another one.
    assert read_learning()[key].moved == pytest.approx(moved, rel=1e-3, abs=1e-4)
    assert read_learning()[key].gain_backward == pytest.approx(after.layers["composite_gain_bwd"].max(), abs=1e-3)


def test_equations_has_every_initialisation_with_its_source_and_its_spec() -> None:
    rows = {cells[0]: cells[1:] for line in SECTION.splitlines()[2:] if (cells := line.strip("| ").split(" | "))}
    for each in INITIALISATIONS.values():
        spec = ", ".join(f"`{field}={value}`" for field, value in each.connection.items())
        assert rows.pop(each.name) == [each.source, spec]
    assert not rows


def test_the_table_has_every_initialisation_and_links_to_its_run() -> None:
    rows = build_rows()
    assert [row.initialisation for row in rows] == list(INITIALISATIONS.values())
    assert [row.initialisation.name for row in rows if row.href is None] == ["DeepSeek-V4.1"]
    cells = {row.initialisation.name: row.cells for row in rows}
    assert {name for name, each in cells.items() if each["gradient it can follow"] == "none"} == {
        "residual-equivalent", "lucidrains",
    }  # fmt: skip
    assert cells["HY-V4"]["part that reaches logits"] == "–"
    assert cells["mHC-lite"]["H_pre"] == "0.269 to 0.731"
    assert describe_training()["farthest"] == "1.73"
    assert {each.build_spec().train.optimizer for each in INITIALISATIONS.values()} == {"adamw"}, "what the page says"
