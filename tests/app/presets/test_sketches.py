"""The pictures of the gallery: stored with the code, of real runs, and as new runs would draw them."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from app.figures import PANELS
from app.presets import PRESETS, Preset
from app.presets.preset import GROUPS
from app.presets.sketches import FILE, POINTS, build_sketch, read_sketches
from mhc_core.metrics import METRICS
from mhc_core.spec import RunSpec
from tests.core.conftest import measure

MAX_BYTES = 150_000  # every install carries the file
# Float32 sums differ in their last digits from one processor to the next, and training enlarges that.
CLOSE, CLOSE_TRAINED, FIRST_STEPS = 2e-3, 0.1, 3
QUICK = ("default", "relu_correlation")  # in every run of the tests
NAMES = [preset.name for preset in PRESETS]
QUICK = ("default", "relu_correlation")  # in every run of the tests


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
    """`python -m app.presets.sketches` makes them anew."""
    stored = {name: [run["id"] for run in runs] for name, runs in read_sketches().items()}
    assert stored == {preset.name: [spec.id for spec in preset.specs] for preset in PRESETS}
    assert FILE.stat().st_size <= MAX_BYTES


@pytest.mark.parametrize("preset", PRESETS, ids=NAMES)
def test_a_sketch_is_a_curve_and_a_number(preset: Preset) -> None:
    for run, spec in zip(read_sketches()[preset.name], preset.specs, strict=True):
        length = spec.train.steps if METRICS[preset.metric].table == "steps" else spec.depth
        assert len(run["curve"]) == min(POINTS, length)
        has_curve = any(value is not None for value in run["curve"])
        assert has_curve or run["value"] == 0, "only zeros have no logarithm"
        assert (run["status"] == "finite") is (run["value"] is not None)


def assert_close(stored: Sequence[Any], new: Sequence[Any], tolerance: float) -> None:
    """Equal in where there is no number, and near in the numbers."""
    ours, theirs = (np.array(curve, dtype=np.float64) for curve in (stored, new))
    np.testing.assert_array_equal(np.isnan(ours), np.isnan(theirs))
    np.testing.assert_allclose(ours, theirs, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=() if name in QUICK else pytest.mark.full) for name in NAMES]
)
def test_sketches_are_those_of_new_runs(name: str) -> None:
    preset = PRESETS[NAMES.index(name)]
    for stored, spec in zip(read_sketches()[name], preset.specs, strict=True):
        new = build_sketch(preset, measure(spec))
        is_trained = spec.train.steps > 0
        # Where training is unstable, another processor soon gives another curve.
        count, tolerance = (FIRST_STEPS, CLOSE_TRAINED) if is_trained else (POINTS, CLOSE)
        assert_close(stored["curve"][:count], new["curve"][:count], tolerance)
        assert stored["status"] == new["status"]
        if new["value"] is not None and not is_trained:  # a little of the logarithm is 2.3 times as much of the value
            assert stored["value"] == pytest.approx(new["value"], rel=2.4 * tolerance)


@pytest.mark.full
def test_a_long_curve_is_a_few_points_with_both_ends() -> None:
    deep = PRESETS[NAMES.index("deep")]
    column = measure(deep.specs[1]).layers_log10["composite_gain_fwd"]
    curve = read_sketches()["deep"][1]["curve"]
    assert len(column) > len(curve) == POINTS
    assert [curve[0], curve[-1]] == pytest.approx([column[0], column[-1]], rel=1e-3)
