"""Weighted averages over depth: the numpy loops of `reference.py`, autograd, the start, and closed forms."""

from typing import Any

import numpy as np
import pytest
import torch

from mhc_core.checks.recomputation import recompute
from mhc_core.checks.verification import verify
from mhc_core.layers import dense
from mhc_core.measure.run import run
from mhc_core.stack import build_stack
from tests.core.checks.test_depth_faults import BASE
from tests.core.checks.test_verify import failures
from tests.core.conftest import build_spec, collect, measure, shake
from tests.core.measure.test_gradients import assert_loop_is_autograd
from tests.core.test_forward import assert_equal_to_reference

KIND: dict[str, Any] = {"kind": "denseformer"}


@pytest.mark.parametrize("position", ["pre", "post", "none"])
@pytest.mark.parametrize("block", [1, 2, 9])
def test_every_block_is_that_of_the_loops(block: int, position: str) -> None:
    connection = {**KIND, "depth_block": block}
    spec = build_spec(depth=5, connection=connection, block={"norm_position": position, "branch_scale": 0.7})
    assert_equal_to_reference(build_stack(spec), rtol=1e-12)
    assert_equal_to_reference(shake(build_stack(spec)), rtol=1e-12)


@pytest.mark.parametrize("block", [1, 2])
def test_the_loop_gives_autograds_gradients(block: int) -> None:
    assert_loop_is_autograd(build_spec(depth=5, connection={**KIND, "depth_block": block}))


@pytest.mark.full
@pytest.mark.parametrize("parts", [{}, {"norm_position": "post", "scaling": "deepnorm"}, {"norm_position": "none"}])
def test_it_starts_as_the_residual_network(parts: dict[str, Any]) -> None:
    block = {"branch_scale": 0.5, **parts}
    for size in (1, 3):
        connection = {**KIND, "noise": 0.0, "depth_block": size}
        found = measure(build_spec(depth=5, connection=connection, block=block))
        plain = measure(build_spec(depth=5, connection={"kind": "residual"}, block=block))
        assert found.loss == plain.loss
        for key in ("act_rms", "branch_out_rms", "branch_in_rms"):
            np.testing.assert_array_equal(found.layers[key], plain.layers[key])
        for key in ("grad_rms", "branch_grad_rms", "param_grad_norm"):
            np.testing.assert_allclose(found.layers[key], plain.layers[key], rtol=1e-12)
        np.testing.assert_array_equal(found.matrices["unfolded"], plain.matrices["unfolded"])


@pytest.mark.full
@pytest.mark.parametrize("block", [1, 2])
def test_weights_are_those_of_outputs_in_what_is_read(block: int) -> None:
    """What a layer reads is the sum of the embedding and all outputs by its row, however the averages are nested."""
    spec = build_spec(depth=6, connection={**KIND, "depth_block": block, "noise": 1.0})
    stack, rows = build_stack(spec), torch.from_numpy(measure(spec).matrices["unfolded"])
    parts: list[torch.Tensor] = [stack.input().flatten(0, 1)]

    def compare(layer: int, output: Any) -> None:
        found = torch.einsum("j,jnc->nc", rows[layer, : layer + 1], torch.stack(parts))
        torch.testing.assert_close(found, output.u, rtol=1e-11, atol=1e-11)
        assert (rows[layer, layer + 1 :] == 0).all()
        parts.append(output.y)

    stack.run_layers(stack.embed(), compare)


def test_rows_follow_the_parameters() -> None:
    """Those of a pass stay what they were where training has moved a weight since."""
    stack = build_stack(build_spec(depth=3, connection={**KIND, "noise": 0.0}))
    connection: Any = stack.connection
    before = stack.run_layers(stack.embed())[1]
    with torch.no_grad():
        connection.weights["2"][0] = 0.5
    after = stack.run_layers(stack.embed())[1]
    assert [made[2].weights.tolist() for made in (before, after)] == [[1, 1, 1, 1], [1.5, 1, 1, 1]]


def test_a_layers_drift_does_not_depend_on_the_depth() -> None:
    shallow, deep = (measure(build_spec(depth=depth, connection={**KIND, "noise": 1.0})) for depth in (3, 6))
    np.testing.assert_array_equal(shallow.matrices["unfolded"], deep.matrices["unfolded"][:3, :4])


Patch = pytest.MonkeyPatch


def plant_a_sum_without_the_embedding(patch: Patch) -> None:
    plain = dense.WeightedDepth.leave

    def leave(self: Any, layer: int, state: torch.Tensor, y: torch.Tensor, mixing: Any) -> Any:
        after, made = plain(self, layer, state, y, mixing)
        return torch.cat([after[:-1], after[-1:] - mixing.weights[:1].sum() * after[:1]]), made

    patch.setattr(dense.WeightedDepth, "leave", leave)


def plant_weights_that_sum_to_1(patch: Patch) -> None:
    plain = dense.WeightedDepth.dynamic_mixing

    def make(self: Any, layer: int, state: torch.Tensor) -> Any:
        weights = plain(self, layer, state).weights
        return dense.SourceWeights(weights / weights.sum())

    patch.setattr(dense.WeightedDepth, "dynamic_mixing", make)


def plant_a_start_at_the_mean(patch: Patch) -> None:
    def start(self: Any, layer: int) -> torch.Tensor:
        count = 2 + layer // self.block
        return torch.full((count,), 1 / count, dtype=torch.float64)

    patch.setattr(dense.WeightedDepth, "_build_start", start)


FAULTS: dict[str, tuple[Any, float, str]] = {
    "a sum without the embedding": (plant_a_sum_without_the_embedding, 0.3, "depth_rule"),
    "weights that sum to 1": (plant_weights_that_sum_to_1, 0.3, "depth_weights"),
    "a start at the mean": (plant_a_start_at_the_mean, 0.0, "depth_mean"),
}


@pytest.mark.full
@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_that_both_share_is_found(fault: str, monkeypatch: Patch) -> None:
    plant, noise, finder = FAULTS[fault]
    spec = build_spec(BASE, connection={**KIND, "noise": noise, "depth_block": 2})

    def find_failed() -> set[str]:
        checks = verify(spec, collect(list(run(spec))), recompute(spec))
        assert {check.name for check in checks if check.verdict == "holds"}, "something is compared"
        return {name for name, _ in failures(checks)}

    assert find_failed() == set()
    plant(monkeypatch)
    assert finder in find_failed()
