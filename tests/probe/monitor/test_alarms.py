"""Alarms: each of them on a fault made for it, with its layer and number, and none on training that is sound."""

import logging
from collections.abc import Callable
from copy import deepcopy
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from mhc_core.measure.probe import build_loss_frame
from mhc_core.record.frames import LossFrame
from mhc_core.record.result import Result
from mhc_probe import Monitor
from mhc_probe.adapter import LayerSite
from mhc_probe.monitor import Alarm, Limits
from mhc_probe.monitor.alarm_checks import find_alarms
from mhc_probe.monitor.alarm_history import TRACKED, History
from mhc_probe.monitor.observation import Observation
from tests.probe.monitor.models import KINDS, NAMES, draw_batches, train


@pytest.fixture(scope="module")
def sound() -> Observation:
    """Of a tiny DeepSeek-V4."""
    model = KINDS["deepseek"].build()
    with Monitor(model) as monitor:
        train(model, 1)
    assert monitor.last is not None
    assert monitor.alarms == []
    return monitor.last


def change(observation: Observation, fault: Callable[[Result], None]) -> list[Alarm]:
    """The alarms of an observation that was changed."""
    result = deepcopy(observation.result)
    fault(result)
    return find_alarms(replace(observation, result=result), Limits())


def find(observation: Observation, fault: Callable[[Result], None]) -> Alarm:
    (alarm,) = change(observation, fault)
    return alarm


def test_a_sound_pass_raises_none(sound: Observation) -> None:
    assert change(sound, lambda result: None) == []


@pytest.mark.parametrize(
    ("key", "direction", "through"),
    [
        ("composite_gain_fwd", "forward", "layers 1 to 4"),
        ("composite_gain_bwd", "backward", "layers 4 to 6"),
    ],
)
def test_a_gain_beyond_its_bound(sound: Observation, key: str, direction: str, through: str) -> None:
    def fault(result: Result) -> None:
        result.layers_log10[key][3] = np.log10(312)

    alarm = find(sound, fault)
    assert (alarm.kind, alarm.layer, alarm.value) == ("gain", 3, pytest.approx(312))
    assert alarm.text == f"The mixing of {through} together has a {direction} gain of 312, above 30."


def test_a_gain_beyond_all_numbers(sound: Observation) -> None:
    def fault(result: Result) -> None:
        result.layers_log10["composite_gain_fwd"][2] = 400
        result.layers["composite_gain_fwd"][2] = np.nan
        result.status["composite_gain_fwd"] = {2: "overflow"}

    alarm = find(sound, fault)
    assert alarm.value == np.inf
    assert "gain of 1×10⁴⁰⁰" in alarm.text


@pytest.mark.parametrize(("side", "name", "other"), [("col", "column", "row"), ("row", "row", "column")])
def test_sums_adrift_where_the_others_are_exact(sound: Observation, side: str, name: str, other: str) -> None:
    def fault(result: Result) -> None:
        for key in ("row", "col"):
            result.layers[f"h_res_{key}_sum"][:] = 1
        result.layers[f"h_res_{side}_sum"][4, 2] = 0.8

    alarm = find(sound, fault)
    assert (alarm.kind, alarm.layer, alarm.value) == ("sums", 4, pytest.approx(0.2))
    assert alarm.text.startswith(f"A {name} sum of H_res is adrift: that of stream 3 at layer 5 is off 1 by 0.2")
    assert alarm.text.endswith(f"while every {other} sums to 1.")


def test_free_mixing_has_no_sums_to_keep(sound: Observation) -> None:
    def fault(result: Result) -> None:
        result.layers["h_res_row_sum"][:] = 1.3
        result.layers["h_res_col_sum"][:] = 0.6

    assert change(sound, fault) == []


def test_a_stream_that_dies_and_one_that_dominates(sound: Observation) -> None:
    def fault(result: Result) -> None:
        result.layers["act_rms_streams"][-1] = [1, 1e-3, 0.1, 0.1]

    dead, dominant = change(sound, fault)
    total = 1 + 1e-6 + 0.02
    assert (dead.kind, dead.layer, dead.value) == ("dead", 5, pytest.approx(1e-6 / total, rel=1e-5))
    assert dead.text.startswith("Stream 2 is dying: at layer 6 it holds 9.8×10⁻⁵ % of the squared size")
    assert (dominant.kind, dominant.layer, dominant.value) == ("dominant", 5, pytest.approx(1 / total))
    assert dominant.text.startswith("Stream 1 dominates: at layer 6 it holds 98 % of the squared size")


def test_gradients_that_vanish_below_a_layer(sound: Observation) -> None:
    def fault(result: Result) -> None:
        result.layers_log10["grad_rms"][:] = [-9, -8, -7, -3, -2, -2]

    alarm = find(sound, fault)
    assert (alarm.kind, alarm.layer, alarm.value) == ("vanished", 0, pytest.approx(1e-7))
    assert alarm.text == "Gradients vanish below layer 4: at layer 1 their size is 1×10⁻⁷ of that at layer 6."


def test_gradients_that_are_zero_have_vanished(sound: Observation) -> None:
    def fault(result: Result) -> None:
        result.layers["grad_rms"][:2], result.layers_log10["grad_rms"][:2] = 0, np.nan

    alarm = find(sound, fault)
    assert (alarm.layer, alarm.value) == (0, 0)
    assert "below layer 3" in alarm.text
    assert "their size is 0 of that" in alarm.text


def test_a_gradient_that_nothing_is_known_of_has_not_vanished(sound: Observation) -> None:
    def fault(result: Result) -> None:
        result.layers["grad_rms"][:2] = result.layers_log10["grad_rms"][:2] = np.nan

    assert change(sound, fault) == []


# ---- over time


class HistoryDriver:
    """A history that receives losses and columns."""

    def __init__(self, observation: Observation, *mixing: torch.nn.Parameter) -> None:
        self.observation, self.history = deepcopy(observation), History(Limits())
        self.sites = [LayerSite("branch", list(mixing))]

    def observe(self, iteration: int, loss: float, **columns: np.ndarray) -> list[Alarm]:
        result = deepcopy(self.observation.result)
        result.layers_log10 |= columns
        frames = [frame for frame in self.observation.frames if not isinstance(frame, LossFrame)]
        newest = replace(self.observation, iteration=iteration, result=result, frames=[*frames, build_loss_frame(loss)])
        return self.history.find_alarms(newest, self.sites)


def test_a_loss_that_jumps_names_the_layer_that_moved_first(sound: Observation) -> None:
    driver, flat = HistoryDriver(sound), np.zeros(6)
    for step, loss in enumerate([4.0, 3.5, 3.2, 3.0, 2.9, 2.8]):
        assert driver.observe(100 * step, loss, branch_out_rms=flat) == []
    early = flat.copy()
    early[2] = np.log10(8)
    assert driver.observe(600, 2.8, branch_out_rms=early) == []
    (alarm,) = driver.observe(700, 6.5, branch_out_rms=flat + 2)
    assert (alarm.kind, alarm.layer, alarm.value) == ("spike", 2, 6.5)
    assert alarm.text == (
        "The loss jumps to 6.5, from 3. Layer 3 moved first, seen after 600 updates: its branch's output grew 8 times."
    )


def test_a_loss_that_is_no_number_is_a_jump(sound: Observation) -> None:
    driver, flat = HistoryDriver(sound), np.zeros(6)
    assert driver.observe(0, 4.0, act_rms=flat) == []
    (alarm,) = driver.observe(100, float("nan"), act_rms=np.array([0, 0, 0, 0, 1, 1.5]))
    assert alarm.text == (
        "The loss jumps to a value that is not finite, from 4. 2 layers moved first, layer 6 most, seen after "
        "100 updates: the signal after it grew 31.6 times."
    )


def test_a_loss_that_wavers_is_no_jump(sound: Observation) -> None:
    """Between batches it differs by a fifth; the level falls all the while."""
    driver = HistoryDriver(sound)
    draws = np.random.default_rng(0).uniform(0.8, 1.2, 200)
    found = [
        alarm for step, draw in enumerate(draws) for alarm in driver.observe(step, draw * (1 + 3 / (1 + step / 20)))
    ]
    assert found == []


def test_a_jump_before_which_nothing_moved_says_so(sound: Observation) -> None:
    driver = HistoryDriver(sound)
    assert driver.observe(0, 4.0) == []
    (alarm,) = driver.observe(100, 9.0)
    assert alarm.layer is None
    assert alarm.text == "The loss jumps to 9, from 4. No layer had moved by more than a factor of 3 before."


def test_a_signal_that_surges_behind_norms(sound: Observation) -> None:
    driver, flat = HistoryDriver(sound), np.zeros(6)
    assert driver.observe(0, 4.0, act_rms=flat) == []
    assert driver.observe(100, 4.0, act_rms=flat + 1.9) == []
    (alarm,) = driver.observe(200, 4.0, act_rms=flat + np.array([3, 4, 5, 4, 3, 2]))
    assert (alarm.kind, alarm.layer, alarm.value) == ("surge", 2, pytest.approx(10**3.1))
    assert alarm.text == "The signal surges: after layer 3 it is 1259 times as large as 100 updates before, above 100."
    assert driver.observe(300, 4.0, act_rms=flat) == []


def test_a_jump_at_which_all_is_lost_does_not_say_that_nothing_had_moved(sound: Observation) -> None:
    driver = HistoryDriver(sound)
    lost = {key: np.full(6, np.nan) for key in TRACKED}
    assert driver.observe(0, 4.0) == []
    (alarm,) = driver.observe(100, float("nan"), **lost)
    assert alarm.layer is None
    assert alarm.text.endswith("Which layer moved first is not known: at the same observation signals are not finite.")


# ---- in training


def train_all_but(model: Any, steps: int, is_left: Callable[[str], bool]) -> None:
    left = [parameter for name, parameter in model.named_parameters() if not is_left(name)]
    optimizer, batches = torch.optim.AdamW(left, lr=3e-3), draw_batches()
    for _ in range(steps):
        optimizer.zero_grad()
        model(**next(batches)).loss.backward()
        optimizer.step()


@pytest.mark.parametrize("is_forgotten", [True, pytest.param(False, marks=pytest.mark.full)])
def test_mixing_that_the_optimiser_was_not_given(is_forgotten: bool) -> None:
    """Mixing is dynamic: its mean differs from batch to batch though nothing of it is learned."""
    model = KINDS["deepseek"].build()
    with Monitor(model, every=8, limits=Limits(patience=24)) as monitor:
        train_all_but(model, 25, lambda name: is_forgotten and "hc" in name)
    assert [alarm.kind for alarm in monitor.alarms] == ["unmoved"] * is_forgotten
    if is_forgotten:
        text = monitor.alarms[0].text
        assert text.startswith("Mixing does not learn: in 24 updates none of its parameters has changed at any layer, ")


def test_mixing_whose_matrices_stay(sound: Observation) -> None:
    """Parameters change, but what is made of them does not, as where logits are saturated."""
    weight = torch.nn.Parameter(torch.zeros(2))
    driver = HistoryDriver(sound, weight)
    for step, loss in enumerate([4.0, 3.0, 2.0]):
        found = driver.observe(60 * step, loss)
        with torch.no_grad():
            weight.add_(1)
    (alarm,) = found
    assert alarm.text == (
        "Mixing does not learn: in 120 updates no entry of H_res has moved by more than 0 at any layer, while the loss "
        "fell from 4 to 2."
    )


def test_mixing_that_is_not_known_is_not_said_to_stay(sound: Observation) -> None:
    driver = HistoryDriver(sound, torch.nn.Parameter(torch.zeros(2)))
    assert driver.observe(0, 4.0) == []
    driver.observation.result.matrices["h_res"][0] = np.nan
    assert driver.observe(120, 2.0) == []


@pytest.mark.full
@pytest.mark.parametrize("name", NAMES)
def test_a_rate_a_thousand_times_too_large_raises_an_alarm(name: str, caplog: pytest.LogCaptureFixture) -> None:
    kind = KINDS[name]
    model = kind.build()
    with (
        caplog.at_level(logging.WARNING, "mhc_core.monitor"),
        Monitor(model, every=5, layers=kind.list_layers(model)) as monitor,
    ):
        train(model, 26, rate=1.0)
    assert "spike" in {alarm.kind for alarm in monitor.alarms}
    ours = [record.getMessage() for record in caplog.records if record.name == "mhc_core.monitor"]
    assert ours == [f"after {alarm.iteration} updates: {alarm.text}" for alarm in monitor.alarms]


@pytest.mark.full
def test_a_breakdown_that_the_loss_does_not_show_is_seen() -> None:
    """At a rate a thousand times too large Llama's loss soon stays near that of guessing."""
    model = KINDS["llama"].build()
    with Monitor(model, every=25) as monitor:
        train(model, 51, rate=1.0)
    assert "surge" in {alarm.kind for alarm in monitor.alarms}


def test_an_alarm_that_stays_is_raised_once() -> None:
    kind = KINDS["tiny"]
    model = kind.build()
    with Monitor(model, every=1, layers=kind.list_layers(model), limits=Limits(vanished=2.0)) as monitor:
        train(model, 4)
    assert [alarm.kind for alarm in monitor.alarms] == ["vanished"]


@pytest.mark.full
@pytest.mark.sample("values", "values")
@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize("rate", [3e-4, 3e-3])
def test_long_sound_training_raises_none(name: str, rate: float) -> None:
    kind = KINDS[name]
    model = kind.build()
    with Monitor(model, every=25, layers=kind.list_layers(model)) as monitor:
        losses = train(model, kind.updates, rate)
    assert np.mean(losses[-20:]) < 0.9 * losses[0]  # it did learn
    assert monitor.alarms == []
