"""The study of drift trains as the product does, and measures what it says."""

import numpy as np
import pytest
import torch

from benchmarks.drift import (
    BEFORE,
    CONNECTIONS,
    Course,
    Plan,
    Watch,
    describe_stability,
    list_plans,
    measure_held_out_loss,
    train_one,
    train_plainly,
)
from mhc_core.inputs.corpus import load_corpus
from mhc_core.measure.training import train
from mhc_core.stack import build_stack

pytestmark = pytest.mark.full


@pytest.mark.parametrize("name", CONNECTIONS)
def test_the_plain_loop_makes_the_weights_that_a_run_makes(name: str) -> None:
    spec = Plan(name, 2, 0.01, 0, 4).to_spec()
    ours, theirs = build_stack(spec), build_stack(spec)
    steps = list(train_plainly(ours))
    frames = list(train(theirs))
    assert [loss for loss, _ in steps] == [frame.values["step_loss"] for frame in frames]
    np.testing.assert_allclose([norm for _, norm in steps], [frame.values["step_grad_norm"] for frame in frames], 1e-5)
    for one, other in zip(ours.parameters(), theirs.parameters(), strict=True):
        assert torch.equal(one, other)
    assert any(
        not torch.equal(one, other)
        for one, other in zip(ours.parameters(), build_stack(spec).parameters(), strict=False)
    )


@pytest.mark.parametrize("name", [name for name in CONNECTIONS if name != "residual"])
def test_drift_is_measured_in_the_unit_of_the_noise(name: str) -> None:
    """A stack moved by hand by noise of one size has that drift, and gains of its matrices' products."""
    stack = build_stack(Plan(name, 12, 0.01, 0, 1).to_spec())
    watch = Watch(stack)
    assert watch.measure(0)["drift"] == 0
    generator = torch.Generator().manual_seed(0)
    connection = stack.connection
    with torch.no_grad():
        for parameter_name, parameter in connection.named_parameters():
            if parameter_name.rpartition(".")[2] in ("a_r", "b_res"):
                parameter.add_(0.3 * torch.randn(parameter.shape, generator=generator))
    found = watch.measure(1)
    assert found["drift"] == pytest.approx(0.3, rel=0.15)
    if name.startswith("HC"):
        assert found["drift_h_res"] == pytest.approx(found["drift"], rel=1e-3)
        matrices = np.array(watch.matrices())
        product, largest = np.eye(4), 0.0
        for matrix in matrices:
            product = matrix @ product
            largest = max(largest, np.abs(product.sum(1)).max())
        assert found["gain_fwd"] == pytest.approx(np.log10(largest), abs=0.01)
        assert found["gain_fwd"] > 0.3
    else:
        assert found["gain_fwd"] == pytest.approx(0, abs=1e-3)


def test_the_held_out_loss_is_the_mean_over_windows_of_text_that_training_never_reads() -> None:
    stack = build_stack(Plan("residual", 2, 0.01, 0, 1).to_spec())
    _, held_out = load_corpus()
    starts = np.linspace(0, len(held_out) - 33, 256).astype(int)
    losses = []
    for some in starts.reshape(64, 4):
        stack.input.ids_BT = torch.tensor(np.stack([held_out[start : start + 32] for start in some])).long()
        stack.input.targets_BT = torch.tensor(np.stack([held_out[start + 1 : start + 33] for start in some])).long()
        losses.append(float(stack().detach()))
    assert measure_held_out_loss(stack) == pytest.approx(np.mean(losses), rel=1e-6)


def test_spikes_and_bursts_are_counted_against_the_steps_before() -> None:
    course = Course(losses=[2.0] * 400, grad_norms=[1.0] * 400)
    course.losses[BEFORE - 1] = course.losses[300] = course.losses[310] = 3.5
    course.grad_norms[320] = 11.0
    said = describe_stability(course)
    assert (said["spikes"], said["first_spike"], said["bursts"], said["first_burst"]) == (2, 300, 1, 320)
    assert said["largest_burst"] == 11


def test_a_run_that_is_not_finite_ends_and_is_recorded() -> None:
    found = train_one(Plan("residual", 2, 10.0, 0, 300))
    assert found["stopped"] is (found["updates"] < 525)
    assert found["at"][-1]["step"] == found["updates"]


def test_the_plan_has_every_connection_at_every_rate_once() -> None:
    plans = list(dict.fromkeys(list_plans()))
    assert len(plans) >= 60
    assert len({plan.to_spec().id for plan in plans}) == len(plans)
    for depth in (12, 24, 64):
        assert {plan.connection for plan in plans if plan.depth == depth} == set(CONNECTIONS)
    assert {plan.seed for plan in plans if plan.depth == 12} >= {0, 1, 2}
