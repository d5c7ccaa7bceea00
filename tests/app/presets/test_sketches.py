"""The pictures of the gallery: stored with the code, and made from the records that ship with it."""

from typing import Any

import pytest

from mhc_core.figures import PANELS
from mhc_core.metrics import METRICS
from mhc_core.spec import RunSpec
from mhc_scope.presets import PRESETS, Preset
from mhc_scope.presets.preset import GROUPS
from mhc_scope.presets.records import read_result
from mhc_scope.presets.sketches import FILE, POINTS, build_sketches, read_sketches

MAX_BYTES = 150_000  # every install carries the file
NAMES = [preset.name for preset in PRESETS]


@pytest.mark.sample(8)
@pytest.mark.parametrize("preset", PRESETS, ids=NAMES)
def test_a_preset_is_whole(preset: Any) -> None:
    assert preset.group in GROUPS
    assert preset.panel in PANELS
    assert preset.view in (None, *(view.key for view in PANELS[preset.panel].views))
    assert preset.metric in METRICS
    assert 1 <= len(preset.specs) <= 4
    assert len({spec.id for spec in preset.specs}) == len(preset.specs)
    shared = {(spec.seed, spec.input) for spec in preset.specs}
    assert len(shared) == 1, "runs that are compared share seed and input"
    if preset.plays:
        part, _, leaf = preset.plays.partition(".")
        assert hasattr(getattr(RunSpec(), part), leaf)


def test_names_are_of_one_preset_each() -> None:
    assert len(set(NAMES)) == len(NAMES)
    assert NAMES[0] == "default"


def test_every_run_has_its_sketch_and_no_other_is_there() -> None:
    stored = {name: [run["id"] for run in runs] for name, runs in read_sketches().items()}
    assert stored == {preset.name: [spec.id for spec in preset.specs] for preset in PRESETS}
    assert FILE.stat().st_size <= MAX_BYTES


@pytest.mark.sample(8)
@pytest.mark.parametrize("preset", PRESETS, ids=NAMES)
def test_a_sketch_is_a_curve_and_a_number(preset: Preset) -> None:
    for run, spec in zip(read_sketches()[preset.name], preset.specs, strict=True):
        length = spec.train.steps if METRICS[preset.metric].table == "steps" else spec.depth
        assert len(run["curve"]) == min(POINTS, length)
        has_curve = any(value is not None for value in run["curve"])
        assert has_curve or run["value"] == 0, "only zeros have no logarithm"
        assert (run["status"] == "finite") is (run["value"] is not None)


@pytest.mark.full
def test_sketches_are_made_from_the_records() -> None:
    """`python -m mhc_scope.presets.records` writes them."""
    assert read_sketches() == build_sketches()


def test_a_long_curve_is_a_few_points_with_both_ends() -> None:
    deep = PRESETS[NAMES.index("deep")]
    column = read_result(deep.specs[1].id).layers_log10["composite_gain_fwd"]
    curve = read_sketches()["deep"][1]["curve"]
    assert len(column) > len(curve) == POINTS
    assert [curve[0], curve[-1]] == pytest.approx([column[0], column[-1]], rel=1e-3)
