"""The learned weights of a value residual: which layers have them, before, in and after training, and once stored."""

from functools import cache
from typing import Any

import numpy as np
import pytest
import torch

from mhc_core.figures import PANELS, THEMES
from mhc_core.measure import passes
from mhc_core.measure.training import learning_rate
from mhc_core.metrics.value_weights import NAMES
from mhc_core.record.result import Result
from mhc_core.stack import build_stack
from tests.core.conftest import build_spec, measure

LEARNED: dict[str, Any] = {"kind": "transformer", "value_residual": "learned"}
OTHERS = [0, 1, 3, 5]  # of six layers: MLPs, and the first attention layer, whose values are those of the others


@cache
def train_once() -> Result:
    return measure(build_spec(depth=6, block=LEARNED, train={"steps": 4, "lr": 0.01}))


def test_a_run_that_does_not_train_shows_the_start_in_layers_with_weights_and_no_status_elsewhere() -> None:
    result = measure(build_spec(depth=6, block=LEARNED))
    for name in NAMES:
        np.testing.assert_array_equal(result.layers[name], [np.nan, np.nan, 0.5, np.nan, 0.5, np.nan])
        assert name not in result.status


def test_both_weights_are_those_of_their_place_in_the_parameter(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mhc_core.layers.transformer.VALUE_WEIGHTS", (0.75, -0.25))
    result = measure(build_spec(depth=3, block=LEARNED))
    assert [result.layers[name][2] for name in NAMES] == [0.75, -0.25]


@pytest.mark.parametrize("fields", [{"value_residual": "fixed"}, {"value_residual": "off"}, {}])
def test_other_runs_have_no_such_column(fields: dict[str, str]) -> None:
    depth = 5 if fields else 2  # of two layers none is a later attention layer
    result = measure(build_spec(depth=depth, block=LEARNED | fields, train={"steps": 1}))
    assert not {*NAMES, *(f"step_{name}" for name in NAMES)} & {*result.layers, *result.steps}


def test_each_step_has_the_weights_before_its_update_and_the_run_those_after_the_last() -> None:
    result = train_once()
    plan = build_spec(depth=6, block=LEARNED, train={"steps": 4, "lr": 0.01}).train
    for name in NAMES:
        steps = result.steps[f"step_{name}"]
        np.testing.assert_array_equal(steps[0], [np.nan, np.nan, 0.5, np.nan, 0.5, np.nan])
        assert np.isnan(steps[:, OTHERS]).all()
        assert f"step_{name}" not in result.steps_status
        # The first update of Adam moves each parameter by the learning rate.
        moved = np.abs(steps[1, [2, 4]] - 0.5)
        np.testing.assert_allclose(moved, learning_rate(plan, 0), rtol=1e-3)
        assert (result.layers[name][[2, 4]] != steps[3, [2, 4]]).all()


def test_a_stored_run_has_them(tmp_path: Any) -> None:
    result = train_once()
    result.save(tmp_path / "run.mhcrun")
    loaded = Result.load(tmp_path / "run.mhcrun")
    for name in NAMES:
        np.testing.assert_array_equal(loaded.layers[name], result.layers[name])
        np.testing.assert_array_equal(loaded.steps[f"step_{name}"], result.steps[f"step_{name}"])


def test_a_weight_that_overflowed_has_a_status() -> None:
    spec = build_spec(depth=4, block=LEARNED)
    stack = build_stack(spec)
    with torch.no_grad():
        stack.branches[2].value_weights.fill_(torch.inf)  # type: ignore[operator]
    frames = [frame for frame in passes.measure(stack, torch.device("cpu")) if frame.type == "forward"]
    assert {frame.layer: frame.status.get(NAMES[0]) for frame in frames if frame.layer > 0} == {
        1: None, 2: "overflow", 3: None,
    }  # fmt: skip


def test_the_chart_has_a_marker_for_each_layer_and_lines_past_the_others() -> None:
    template = PANELS["unfolded"].build(2, THEMES["light"], NAMES[1])
    lines = [trace for trace in template["data"] if trace["meta"]["end"]]
    assert {trace["mode"] for trace in lines} == {"lines+markers"}
    assert len(lines) == 2
    assert all(trace["connectgaps"] for trace in template["data"])
