"""Learned weights of branch and skip path: the numpy loops, autograd, the start, and what gains show."""

from typing import Any

import numpy as np
import pytest
import torch

from mhc_core.checks.recomputation import recompute
from mhc_core.checks.verification import verify
from mhc_core.layers.laurel import build_down
from mhc_core.measure.run import run
from mhc_core.stack import build_stack
from tests.core.checks.test_verify import failures
from tests.core.conftest import build_spec, collect, measure, shake
from tests.core.measure.test_gradients import assert_loop_is_autograd
from tests.core.test_forward import assert_equal_to_reference

KIND: dict[str, Any] = {"kind": "laurel", "gate_rank": 3}


@pytest.mark.parametrize(
    ("position", "scaling"), [("pre", "constant"), ("post", "constant"), ("none", "constant"), ("post", "deepnorm")]
)
def test_layers_are_those_of_the_loops(position: str, scaling: str) -> None:
    block = {"norm_position": position, "scaling": scaling, "branch_scale": 0.7}
    spec = build_spec(depth=5, connection=KIND, block=block)
    assert_equal_to_reference(build_stack(spec), rtol=1e-12)
    assert_equal_to_reference(shake(build_stack(spec)), rtol=1e-12)


def test_the_loop_gives_autograds_gradients() -> None:
    assert_loop_is_autograd(build_spec(depth=5, connection=KIND))


def test_gradients_of_a_moved_stack_are_those_of_the_written_out_layer() -> None:
    """By autograd of x' = a F + b (x + x A B) as one line, so that no zero of B hides a gradient."""
    stack = shake(build_stack(build_spec(depth=3, connection=KIND)))
    stack().backward()
    connection: Any = stack.connection
    found = {name: p.grad.clone() for name, p in connection.named_parameters()}
    stack.zero_grad()
    x = stack.input().flatten(0, 1)
    for layer, branch in enumerate(stack.branches):
        a, b = 2 * torch.softmax(connection.weights[layer], 0)
        low = connection.down[layer] @ connection.up[layer]
        x = a * branch(x.view(2, 6, 8)).flatten(0, 1) + b * (x + x @ low)
    stack.loss(x).backward()
    for name, p in connection.named_parameters():
        torch.testing.assert_close(found[name], p.grad, rtol=1e-10, atol=1e-14)
        assert p.grad.abs().max() > 0


@pytest.mark.parametrize("parts", [{}, {"norm_position": "post", "scaling": "deepnorm"}, {"norm_position": "none"}])
def test_it_starts_as_the_residual_network(parts: dict[str, Any]) -> None:
    block = {"branch_scale": 0.5, **parts}
    found = measure(build_spec(depth=5, connection={**KIND, "noise": 0.0}, block=block))
    plain = measure(build_spec(depth=5, connection={"kind": "residual"}, block=block))
    assert found.loss == plain.loss
    for key in ("act_rms", "branch_out_rms", "grad_rms", "branch_grad_rms", "param_grad_norm", "composite_gain_fwd"):
        np.testing.assert_array_equal(found.layers[key], plain.layers[key])


def test_the_map_of_low_rank_starts_with_orthogonal_columns() -> None:
    down = build_down(8, 3)
    assert down.nonzero().tolist() == [[row, row % 3] for row in range(8)]
    assert (down[down > 0] == 1 / 24**0.5).all()
    gram = down.T @ down
    torch.testing.assert_close(gram, torch.diag(torch.tensor([3.0, 3.0, 2.0], dtype=torch.float64) / 24))


def test_the_gain_is_the_product_of_the_weights_of_the_skip_path() -> None:
    """Each is between 0 and 2, and sums to 2 with that of the branch."""
    result = measure(build_spec(depth=6, connection={**KIND, "noise": 1.0}))
    a, b = result.matrices["h_post"][:, 0], result.matrices["h_res"][:, 0, 0]
    np.testing.assert_allclose(a + b, 2, rtol=1e-12)
    assert (b > 0).all()
    np.testing.assert_allclose(result.layers["composite_gain_fwd"], np.cumprod(b), rtol=1e-12)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_true_runs_hold_and_a_skip_path_without_its_weight_does_not(
    dtype: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mhc_core.layers import laurel

    spec = build_spec(depth=6, connection={**KIND, "noise": 0.5}, dtype=dtype)
    assert failures(verify(spec, collect(list(run(spec))), recompute(spec))) == []
    plain = laurel.AugmentedResidual.leave

    def leave(self: Any, layer: int, state: torch.Tensor, y: torch.Tensor, mixing: Any) -> Any:
        return plain(self, layer, state, y, mixing._replace(h_res=torch.ones_like(mixing.h_res)))[0], mixing

    monkeypatch.setattr(laurel.AugmentedResidual, "leave", leave)
    found = failures(verify(spec, collect(list(run(spec))), recompute(spec)))
    assert "layer_rule" in {name for name, _ in found}
