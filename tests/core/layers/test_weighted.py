"""The weighted sum of state and embedding: the published loop, its start, and what charts say of the state."""

from typing import Any

import numpy as np
import pytest
import torch

from mhc_core.layers.weighted import build_start
from mhc_core.stack import build_stack
from tests.core.conftest import build_spec, measure, shake

KIND: dict[str, Any] = {"kind": "weighted", "noise": 0.0}
LINEAR: dict[str, Any] = {"kind": "mlp", "branch_scale": 0.0}


@pytest.mark.parametrize("moved", [False, True])
def test_blocks_of_two_layers_run_as_the_published_loop(moved: bool) -> None:
    """Before each block x <- a x + b x_0; attention and MLP are then added to x, as in a residual network."""
    stack = build_stack(build_spec(depth=6, connection=KIND))
    connection: Any = stack.connection
    weights = connection.weights.detach().clone()
    if moved:
        shake(stack)
        with torch.no_grad():
            connection.weights[1::2] = weights[1::2]  # MLPs of nanochat have none
        weights = connection.weights.detach()
    x = embedding = connection.expand(stack.input().flatten(0, 1))[0]
    for layer, branch in enumerate(stack.branches):
        if layer % 2 == 0:
            a, b = weights[layer]
            x = a * x + b * embedding
        x = x + branch(x.view(2, 6, 8)).flatten(0, 1)
    state, _ = stack.run_layers(stack.embed())
    torch.testing.assert_close(connection.reduce(state), x, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(state[1], embedding, rtol=0, atol=0)


def test_weights_start_as_in_nanochat() -> None:
    start = build_start(40)
    assert start[0].tolist() == pytest.approx([1.15, 0.20])
    assert start[38].tolist() == pytest.approx([1.05, 0.05])
    blocks = start[::2].numpy()
    np.testing.assert_allclose(blocks[:, 0], [1.15 - 0.10 * i / 19 for i in range(20)], rtol=1e-14)
    np.testing.assert_allclose(blocks[:, 1], [0.20 - 0.15 * i / 19 for i in range(20)], rtol=1e-13)
    assert torch.equal(start[1::2], torch.tensor([1.0, 0.0], dtype=torch.float64).expand(20, 2))
    assert build_start(1).tolist() == [pytest.approx([1.15, 0.20])]
    assert build_start(3)[2].tolist() == pytest.approx([1.05, 0.05])


def test_the_gain_is_the_product_of_the_weights_and_what_the_embedding_adds() -> None:
    """In closed form: x_L = c_L x_0 with c = a c + b, where branches add nothing; the gradient is that of the state."""
    result = measure(build_spec(depth=8, connection={**KIND, "noise": 0.3}, block=LINEAR))
    weights = result.matrices["h_pre"]
    c = 1.0
    for layer, (a, b) in enumerate(weights):
        c = a * c + b
        assert 10 ** result.layers_log10["act_rms"][layer] == pytest.approx(
            abs(c) * 10 ** result.layers_log10["act_rms"][0] / abs(weights[0].sum()), rel=1e-12
        )
        gain = result.layers["composite_gain_fwd"][layer]
        product = [abs(np.prod(weights[: layer + 1, 0]) + c - np.prod(weights[: layer + 1, 0])), 1.0]
        assert gain == pytest.approx(max(product), rel=1e-12)
    later = [np.prod(weights[layer + 1 :, 0]) for layer in range(8)]
    sizes = 10 ** result.layers_log10["grad_rms"]
    np.testing.assert_allclose(sizes / sizes[-1], np.abs(later), rtol=1e-11)


def test_the_number_of_streams_is_two_whatever_the_spec_says() -> None:
    specs = [build_spec(connection={**KIND, "streams": streams}) for streams in (1, 4, 16)]
    assert {spec.streams for spec in specs} == {2}
    assert len({spec.id for spec in specs}) == 1
    assert "streams" not in specs[0].canonical()["connection"]


def test_the_gradient_at_the_embedding_is_that_of_both_streams() -> None:
    spec = build_spec(depth=4, connection=KIND)
    stack = build_stack(spec)
    embedded = stack.input().flatten(0, 1).detach().requires_grad_()
    stack.loss(stack.run_layers(stack.connection.expand(embedded))[0]).backward()
    assert embedded.grad is not None
    wanted = embedded.grad.square().mean().sqrt().item()
    result = measure(spec)
    assert result.input is not None
    assert result.input["grad_rms"] == pytest.approx(wanted, rel=1e-12)
