"""The value residual: which layers take part, what passes between layers, its gradient, and what Verify finds."""

from collections.abc import Callable
from typing import Any
from unittest.mock import patch

import numpy as np
import pytest
import torch

from mhc_core.checks.recomputation import recompute
from mhc_core.checks.verification import verify
from mhc_core.cost.estimates import estimate
from mhc_core.layers.branch import Carried
from mhc_core.layers.transformer import FirstAttention, ResidualAttention
from mhc_core.measure import passes
from mhc_core.measure.atlas import measure_atlas
from mhc_core.measure.lens import iterate_layers
from mhc_core.measure.run import run
from mhc_core.measure.training import build_optimizer, train
from mhc_core.record.codec import encode_frame
from mhc_core.record.stages import AtlasFrame
from mhc_core.spec import RunSpec
from mhc_core.stack import Stack, build_stack
from tests.core.conftest import CONNECTIONS, build_spec, collect, measure, shake
from tests.core.reference import trace

KINDS = ("fixed", "learned")
SEVERAL = ("residual", "hc-dynamic", "mhc", "frac", "weighted", "attnres", "denseformer")


def build_residual(kind: str = "fixed", name: str = "residual", **fields: Any) -> RunSpec:
    fields = {"depth": 5, **fields, "block": {"value_residual": kind, **fields.get("block", {})}}
    return build_spec(connection=CONNECTIONS[name], **fields)


def test_all_attention_layers_but_the_first_take_part() -> None:
    branches = build_stack(build_residual("learned", depth=6)).branches
    assert [type(branch).__name__ for branch in branches] == [
        "FirstAttention", "Mlp", "ResidualAttention", "Mlp", "ResidualAttention", "Mlp",
    ]  # fmt: skip
    assert [name for name, _ in branches.named_parameters() if name.endswith("value_weights")] == [
        "2.value_weights",
        "4.value_weights",
    ]


def test_weights_start_at_a_half_and_are_learned_without_decay() -> None:
    stack = build_stack(build_residual("learned", train={"steps": 3, "lr": 0.01, "weight_decay": 0.1}))
    weights = [parameter for name, parameter in stack.named_parameters() if name.endswith("value_weights")]
    assert [weight.tolist() for weight in weights] == [[0.5, 0.5], [0.5, 0.5]]
    _, kept = build_optimizer(stack).param_groups
    assert kept["weight_decay"] == 0
    assert {id(weight) for weight in weights} <= {id(parameter) for parameter in kept["params"]}
    assert len(list(train(stack))) == 3
    assert all(bool((weight != 0.5).all()) for weight in weights)


def test_before_training_fixed_and_learned_weights_are_one_stack() -> None:
    fixed, learned = (measure(build_residual(kind)) for kind in KINDS)
    assert fixed.loss == learned.loss
    np.testing.assert_array_equal(fixed.layers["grad_rms"], learned.layers["grad_rms"])
    assert measure(build_residual("off")).loss != fixed.loss


def test_with_one_attention_layer_nothing_is_added() -> None:
    off, fixed = (measure(build_residual(kind, depth=2)) for kind in ("off", "fixed"))
    assert off.loss == fixed.loss
    np.testing.assert_array_equal(off.layers["grad_rms"], fixed.layers["grad_rms"])


@pytest.mark.parametrize(("own", "first"), [(1.0, 0.0), (0.0, 1.0)])
def test_weights_of_0_and_1_are_the_plain_stack_and_shared_values(own: float, first: float) -> None:
    """With weights 1 and 0 no value is added; with 0 and 1 a layer's own values have no part, nor a gradient."""
    stack, plain = build_stack(build_residual("learned")), build_stack(build_residual("off"))
    for branch in stack.branches:
        if isinstance(branch, ResidualAttention):
            assert branch.value_weights is not None
            branch.value_weights.data = torch.tensor([own, first], dtype=torch.float64)
    loss = stack()
    loss.backward()
    width = stack.spec.width
    later = stack.branches[2].w_qkv
    assert isinstance(later, torch.nn.Parameter)
    assert later.grad is not None
    of_values = later.grad[2 * width :].abs().max().item()
    if own:
        assert loss.item() == pytest.approx(plain().item(), rel=1e-14)
        assert of_values > 0
    else:
        assert loss.item() != pytest.approx(plain().item(), rel=1e-3)
        assert of_values == 0


@pytest.mark.parametrize("kind", KINDS)
def test_a_layer_and_its_gradients_by_finite_differences(kind: str) -> None:
    """At its input, at the first layer's values and at the weights, by torch's gradcheck."""
    stack = shake(build_stack(build_residual(kind, depth=3, block={"norm_position": "none"})))
    first, later = stack.branches[0], stack.branches[2]
    assert isinstance(first, FirstAttention)
    assert isinstance(later, ResidualAttention)
    u, v = torch.randn(2, 1, 4, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(3)).unbind()
    weights = torch.tensor([0.7, -0.4], dtype=torch.float64) if later.value_weights is None else later.value_weights

    def compute(u: torch.Tensor, v: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
        if later.value_weights is not None:
            later.value_weights.data = weights.data
            later._parameters["value_weights"] = weights  # type: ignore[assignment]
        return later(u, Carried(v))

    leaves = [one.detach().clone().requires_grad_() for one in (u, v)]
    weights = weights.detach().clone().requires_grad_(kind == "learned")
    assert torch.autograd.gradcheck(compute, (*leaves, weights))
    assert torch.autograd.gradgradcheck(compute, (*leaves, weights))

    def pass_on(u: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        carried = Carried()
        y = first(u, carried)
        assert carried.values is not None
        return y, carried.values

    assert torch.autograd.gradcheck(pass_on, (leaves[0],))


def test_a_layer_that_gets_no_values_fails() -> None:
    stack = build_stack(build_residual())
    with pytest.raises(AssertionError, match="no values"):
        stack.layer(2, stack.embed(), stack.connection.static_mixing())


def test_a_pass_leaves_nothing_for_the_next() -> None:
    """Values belong to a pass: another batch between two passes changes nothing."""
    stack = build_stack(build_residual("learned", train={"steps": 2}))
    before = stack().item()
    stack.input.set_batch(1)
    assert stack().item() != before
    stack.input.set_batch(None)
    assert stack().item() == before


@pytest.mark.parametrize("name", SEVERAL)
def test_the_values_that_reach_each_layer_are_those_of_the_reference(name: str) -> None:
    stack = shake(build_stack(build_residual("learned", name)))
    wanted = trace(stack).values[0]
    found: list[torch.Tensor | None] = []
    stack.run_layers(stack.embed(), lambda layer, output: found.append(output.values))
    assert len(found) == 5
    for values in found:
        assert values is not None
        np.testing.assert_allclose(values.detach().numpy(), wanted, rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("name", ["mhc-dynamic", "attnres"])
def test_layers_computed_twice_give_the_same_frames(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where memory binds, graphs are not kept but made again: no bit may differ."""
    spec = build_residual("learned", name, dtype="float32")
    kept = list(run(spec))
    monkeypatch.setattr("mhc_core.cost.counts.MAX_TAPE_BYTES", 0)
    for one, other in zip(kept, run(spec), strict=True):
        assert encode_frame(one, "id", 0) == encode_frame(other, "id", 0) or one.type == "start"


@pytest.mark.sample(3)
@pytest.mark.parametrize("name", ["frac", "hc-dynamic", "attnres"])
def test_a_cut_in_the_atlas_is_that_of_a_single_run(name: str) -> None:
    """Of the first layer, whose values all others add, and of a later one."""
    spec = build_residual("fixed", name)
    *_, frame = measure_atlas(spec)
    assert isinstance(frame, AtlasFrame)
    for place, cut in enumerate(frame.cuts):
        for layer in (0, 3):
            if cut.what == "source" and layer == 0:
                continue
            edit: dict[str, Any] = {"layers": [layer, layer], "what": cut.what, "do": cut.do}
            edit |= {} if cut.what == "branch" else {"index": 0}
            single = measure(RunSpec.model_validate(spec.canonical() | {"edits": [edit]}))
            assert frame.values["loss"][place, layer, 0] == pytest.approx(single.loss, rel=1e-6)


def test_edits_see_the_values_of_the_edited_pass() -> None:
    """A cut stream of the first layer changes its values, and with them all later layers; the reference agrees."""
    cut = {"layers": [0, 0], "what": "stream", "index": 1, "do": "zero"}
    restored = {"layers": [3, 3], "what": "stream", "index": 1, "do": "restore"}
    spec = build_residual("learned", "hc-dynamic", edits=[cut, restored])
    stack = shake(build_stack(spec))
    assert stack().item() == pytest.approx(trace(stack).loss, rel=1e-11)
    states = [stack.connection.streams(state).flatten() for state, _ in iterate_layers(stack)]
    for state, wanted in zip(states, trace(stack).states, strict=True):
        np.testing.assert_allclose(state.numpy(), wanted.ravel(), rtol=1e-10, atol=1e-11)


@pytest.mark.parametrize("kind", KINDS)
def test_bfloat16_is_the_float64_stack_up_to_its_rounding(kind: str) -> None:
    """A bfloat16 rounding is 2^-9; five layers make about ten of them, in a loss of about five."""
    coarse, exact = (measure(build_residual(kind, "mhc", dtype=dtype)).loss for dtype in ("bfloat16", "float64"))
    assert coarse == pytest.approx(exact, abs=10 * 2.0**-9 * 5)


@pytest.mark.parametrize("kind", ["off", *KINDS])
def test_parameters_are_counted(kind: str) -> None:
    spec = build_residual(kind, "hc", depth=7)
    assert estimate(spec).parameters == sum(parameter.numel() for parameter in build_stack(spec).parameters())


# Verify.


def list_failures(spec: RunSpec) -> set[str]:
    checks = verify(spec, collect(list(run(spec))), recompute(spec))
    assert {check.verdict for check in checks} <= {"holds", "fails"}
    return {f"{check.name} {check.metric}" for check in checks if check.verdict == "fails"}


@pytest.mark.parametrize("name", SEVERAL)
def test_every_law_holds(name: str) -> None:
    assert list_failures(build_residual("learned", name, dtype="float32")) == set()


def lose_gradient() -> Any:
    """A fault: the gradient at the first layer's values is left out on the way down."""
    plain = passes._descend

    def descend(stack: Stack, layer: int, *rest: Any) -> Any:
        if layer == 0:
            rest[-1].values_grad = None
        return plain(stack, layer, *rest)

    return patch.object(passes, "_descend", descend)


def spoil_layer(change: Callable[[ResidualAttention, torch.Tensor, Carried], torch.Tensor]) -> Any:
    return patch.object(ResidualAttention, "compute", change)


def detach_values() -> Any:
    """A fault: values pass on no gradient."""
    plain = ResidualAttention.compute

    def compute(self: ResidualAttention, u: torch.Tensor, carried: Carried) -> torch.Tensor:
        assert carried.values is not None
        return plain(self, u, Carried(carried.values.detach()))

    return spoil_layer(compute)


def spoil_weights() -> Any:
    """A fault: a layer's own values and those of the first are not weighed alike."""

    def compute(self: ResidualAttention, u: torch.Tensor, carried: Carried) -> torch.Tensor:
        assert carried.values is not None
        qkv = self._project(u)
        mixed = 0.4 * qkv[:, :, 2:] + 0.6 * carried.values.unsqueeze(2)
        return self._attend(torch.cat((qkv[:, :, :2], mixed), 2))

    return spoil_layer(compute)


def look_ahead() -> Any:
    """A fault: each token takes the first layer's values of the token after it."""
    plain = ResidualAttention.compute

    def compute(self: ResidualAttention, u: torch.Tensor, carried: Carried) -> torch.Tensor:
        assert carried.values is not None
        return plain(self, u, Carried(carried.values.roll(-1, 1)))

    return spoil_layer(compute)


FAULTS: dict[str, tuple[Callable[[], Any], set[str]]] = {
    "gradient lost in the loop": (lose_gradient, {"recomputation param_grad_norm", "recomputation branch_grad_rms"}),
    "gradient cut in the layer": (detach_values, {"attention branch_out_rms"}),
    "weights": (spoil_weights, {"attention branch_out_rms"}),
    "later tokens": (look_ahead, {"attention branch_out_rms", "causality act_rms"}),
}


@pytest.mark.parametrize(("plant", "found"), FAULTS.values(), ids=FAULTS)
def test_verify_finds_planted_faults(plant: Callable[[], Any], found: set[str]) -> None:
    with plant():
        failures = list_failures(build_residual("fixed", "hc"))
    assert found <= failures
