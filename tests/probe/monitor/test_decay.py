"""What weight decay alone leaves: the closed form against optimisers of torch, and the alarm."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn
from torch.optim import SGD, Adam, AdamW, Optimizer
from torch.optim.lr_scheduler import LinearLR

from mhc_probe import Monitor
from mhc_probe.monitor import Limits
from mhc_probe.monitor.decay import Decay, DecayTracker
from tests.probe.monitor.models import KINDS, draw_batches

UPDATES = 300


def run_decay(optimizer: Optimizer, updates: int, scheduler: Any = None) -> tuple[float, DecayTracker]:
    """Return what is left of the first parameter without any gradient, and what was counted."""
    tracker = DecayTracker()
    [first, *_] = optimizer.param_groups[0]["params"]
    before = first.detach().clone()
    for _ in range(updates):
        for group in optimizer.param_groups:
            for parameter in group["params"]:
                parameter.grad = torch.zeros_like(parameter)
        tracker.count(optimizer)
        optimizer.step()
        if scheduler is not None:
            scheduler.step()
    return float((first.detach() / before).mean()), tracker


def draw_parameter() -> nn.Parameter:
    return nn.Parameter(1 + torch.rand(4, 4, dtype=torch.float64))


@pytest.mark.parametrize(
    "build",
    [
        lambda parameter: AdamW([parameter], lr=0.02, weight_decay=0.1),
        lambda parameter: AdamW([parameter], lr=0.02, weight_decay=0.1, amsgrad=True, foreach=True),
        lambda parameter: Adam([parameter], lr=0.02, weight_decay=0.1, decoupled_weight_decay=True),
        lambda parameter: SGD([parameter], lr=0.02, weight_decay=0.1),
    ],
)
def test_the_share_is_what_an_optimiser_leaves(build: Callable[[nn.Parameter], Optimizer]) -> None:
    parameter = draw_parameter()
    optimizer = build(parameter)
    left, tracker = run_decay(optimizer, UPDATES)
    decay = tracker.find_decay([parameter])
    assert decay is not None
    assert math.exp(decay.log_share) == pytest.approx(left, rel=1e-12)
    assert math.exp(decay.log_share) == pytest.approx((1 - 0.002) ** UPDATES, rel=1e-12)
    assert decay.parameters == 16


def test_a_learning_rate_that_changes_is_followed() -> None:
    parameter = draw_parameter()
    optimizer = AdamW([parameter], lr=0.02, weight_decay=0.1)
    left, tracker = run_decay(optimizer, UPDATES, LinearLR(optimizer, 1.0, 0.01, UPDATES))
    decay = tracker.find_decay([parameter])
    assert decay is not None
    assert math.exp(decay.log_share) == pytest.approx(left, rel=1e-12)
    assert left > 1.3 * (1 - 0.002) ** UPDATES


def test_the_half_life_and_the_last_hundredth_come_true() -> None:
    parameter = draw_parameter()
    optimizer = AdamW([parameter], lr=0.02, weight_decay=0.1)
    _, tracker = run_decay(optimizer, 1)
    decay = tracker.find_decay([parameter])
    assert decay is not None
    for share, updates in ((0.5, decay.half_life + 1), (0.01, decay.count_updates(0.01) + 1)):
        fresh = draw_parameter()
        left, _ = run_decay(AdamW([fresh], lr=0.02, weight_decay=0.1), round(updates))
        assert left == pytest.approx(share, rel=0.005), share
    assert round(decay.half_life) == 346
    assert decay.predict_log_share(99) == pytest.approx(100 * math.log(0.998))


@pytest.mark.parametrize(
    "build",
    [
        lambda parameter: Adam([parameter], lr=0.02, weight_decay=0.1),  # a part of the gradient, which is then normed
        lambda parameter: SGD([parameter], lr=0.02, weight_decay=0.1, momentum=0.9),
        lambda parameter: AdamW([parameter], lr=0.02, weight_decay=0.0),
    ],
)
def test_of_others_nothing_is_said(build: Callable[[nn.Parameter], Optimizer]) -> None:
    parameter = draw_parameter()
    optimizer = build(parameter)
    _, tracker = run_decay(optimizer, 10)
    assert tracker.find_decay([parameter]) is None


def test_only_the_groups_of_the_parameters_count() -> None:
    mixing, others = draw_parameter(), draw_parameter()
    groups: list[dict[str, Any]] = [{"params": [mixing], "weight_decay": 0.0}, {"params": [others]}]
    optimizer = AdamW(groups, lr=0.02, weight_decay=0.1)
    _, tracker = run_decay(optimizer, 10)
    assert tracker.find_decay([mixing]) is None
    found = tracker.find_decay([mixing, others])
    assert found is not None
    assert found.log_share == pytest.approx(10 * math.log(0.998))


def test_an_end_without_decay_is_never() -> None:
    decay = Decay(log_share=math.log(0.5), log_factor=0.0, parameters=1)
    assert decay.half_life == math.inf
    assert decay.count_updates(0.01) == math.inf
    assert decay.count_updates(0.6) == 0


# ---- the alarm


def train_with_decay(updates: int, *, mixing: float, planned: int | None = None, limit: float = 0.5) -> Monitor:
    """Train a tiny DeepSeek-V4 whose mixing has this weight decay; other parameters have one of 0.5."""
    model = KINDS["deepseek"].build()
    named = list(model.named_parameters())
    groups = [
        {"params": [p for name, p in named if "hc" in name], "weight_decay": mixing},
        {"params": [p for name, p in named if "hc" not in name], "weight_decay": 0.5},
    ]
    optimizer, batches = AdamW(groups, lr=1e-2), draw_batches()
    with Monitor(model, every=10, updates=planned, limits=Limits(decay=limit)) as monitor:
        for _ in range(updates):
            optimizer.zero_grad()
            model(**next(batches)).loss.backward()
            optimizer.step()
    return monitor


def test_decay_that_is_planned_is_an_alarm_at_the_first_observation() -> None:
    monitor = train_with_decay(31, mixing=0.1, planned=1000)
    [alarm] = [alarm for alarm in monitor.alarms if alarm.kind == "decay"]
    assert alarm.iteration == 0
    assert alarm.value == pytest.approx(0.999**1000, rel=1e-9)
    assert alarm.limit == 0.5
    until = math.ceil(math.log(0.01) / math.log(0.999))
    assert alarm.text == (
        "Weight decay alone leaves 36.8 % of the mixing parameters by update 1000: it halves them every 693 updates, "
        f"1 % is left at update {until}. Logits that decay to 0 make mixing uniform, as far as gradients do not act "
        "against it."
    )


def test_decay_so_far_is_an_alarm_without_a_plan() -> None:
    monitor = train_with_decay(31, mixing=2.0, limit=0.6)
    [alarm] = [alarm for alarm in monitor.alarms if alarm.kind == "decay"]
    assert alarm.iteration == 30
    assert alarm.value == pytest.approx(0.98**30, rel=1e-9)
    assert alarm.text.startswith("Weight decay alone leaves 54.5 % of the mixing parameters in 30 updates")


@pytest.mark.parametrize(
    ("mixing", "planned"), [(0.0, 100_000), (0.1, None), pytest.param(0.1, 600, marks=pytest.mark.full)]
)
def test_mixing_that_keeps_more_than_half_raises_none(mixing: float, planned: int | None) -> None:
    monitor = train_with_decay(21, mixing=mixing, planned=planned)
    assert not [alarm for alarm in monitor.alarms if alarm.kind == "decay"]
