"""Attention over depth: gradients of every form, and closed forms.

`tests/oracles/test_plain_families.py` compares every form with an independent network.
"""

from typing import Any

import numpy as np
import pytest
import torch

from mhc_core.layers.depth import read_sources
from mhc_core.stack import build_stack
from tests.core.conftest import build_spec, measure, shake
from tests.core.measure.test_gradients import assert_loop_is_autograd

KIND = {"kind": "attnres"}
FORMS: dict[str, dict[str, Any]] = {
    "full": {},
    "blocks": {"depth_block": 2},
    "one-block": {"depth_block": 9},
    "heads": {"depth_heads": 4},
    "normed": {"depth_values": "normed"},
    "normed-heads-blocks": {"depth_values": "normed", "depth_heads": 2, "depth_block": 3},
    "delta": {"depth_form": "delta"},
    "delta-blocks": {"depth_form": "delta", "depth_block": 2},
    "delta-gated": {"depth_form": "delta_gated", "depth_heads": 2},
    "delta-normed": {"depth_form": "delta", "depth_values": "normed"},
}


@pytest.mark.sample(4)
@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
def test_the_loop_gives_autograds_gradients(form: dict[str, Any]) -> None:
    assert_loop_is_autograd(build_spec(depth=5, connection={**KIND, **form}))


@pytest.mark.sample(4)
@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
def test_weights_are_the_derivative_of_what_is_read(form: dict[str, Any]) -> None:
    """An output enters a read once: moved along itself with the weights held, the read moves by its weight."""
    spec = build_spec(depth=5, connection={**KIND, **form, "noise": 0.0})
    stack, result = build_stack(spec), measure(spec)
    state, embedded = stack.embed(), None
    outputs: list[torch.Tensor] = []
    for layer in range(spec.depth):
        u = stack.connection.read(state, None)
        embedded = u if embedded is None else embedded
        parts = torch.stack([embedded, *outputs])
        weights = torch.from_numpy(result.matrices["unfolded"][layer, : layer + 1])
        if form.get("depth_values") != "normed":  # there the weight of each token is another
            torch.testing.assert_close(torch.einsum("j,jnc->nc", weights, parts), u, rtol=1e-12, atol=1e-12)
        assert (result.matrices["unfolded"][layer, layer + 1 :] == 0).all()
        made = stack.layer(layer, state, None)
        state = made.state
        outputs.append(made.y)


@pytest.mark.parametrize(
    ("form", "even"),
    [
        ("full", lambda layer: 1 / (layer + 1)),
        ("heads", lambda layer: 1 / (layer + 1)),
        ("delta", lambda layer: 1 + 1 / (layer + 1)),
        ("delta-gated", lambda layer: 1.0),
    ],
)
def test_queries_of_zero_read_the_plain_mean(form: str, even: Any) -> None:
    weights = measure(build_spec(depth=5, connection={**KIND, **FORMS[form], "noise": 0.0})).matrices["unfolded"]
    for layer in range(1, 5):
        np.testing.assert_allclose(weights[layer, : layer + 1], even(layer), rtol=1e-14)


def test_the_gated_form_starts_as_the_residual_network() -> None:
    gated = measure(build_spec(depth=5, connection={**KIND, "depth_form": "delta_gated", "noise": 1.0}))
    plain = measure(build_spec(depth=5, connection={"kind": "residual"}))
    assert gated.loss == pytest.approx(plain.loss, rel=1e-13)
    np.testing.assert_allclose(gated.matrices["unfolded"], plain.matrices["unfolded"], rtol=1e-14)
    for key in ("act_rms", "branch_out_rms"):
        np.testing.assert_allclose(gated.layers[key], plain.layers[key], rtol=1e-12)


def test_blocks_give_their_layers_one_weight() -> None:
    weights = measure(build_spec(depth=6, connection={**KIND, "depth_block": 3, "noise": 1.0})).matrices["unfolded"]
    for layer in range(6):
        for first in (1, 4):
            block = weights[layer, first : min(first + 3, layer + 1)]
            assert np.ptp(block) == 0 if len(block) else True
    assert weights[5, 1] != weights[5, 4]


def test_what_one_branch_is_worth_is_the_width_of_the_slices() -> None:
    """Heads weigh slices of the width: with one head all slices of an output have one weight, with four they differ."""
    stack = shake(build_stack(build_spec(depth=3, connection={**KIND, "depth_heads": 4})))
    made = stack.layer(1, stack.layer(0, stack.embed(), None).state, None).mixing
    assert made.attention.shape == (3, 12, 4)
    assert made.attention.std(2).min() > 0
    torch.testing.assert_close(made.attention.sum(0), torch.ones(12, 4, dtype=torch.float64))


@pytest.mark.sample(6)
@pytest.mark.parametrize("is_normed", [False, True])
@pytest.mark.parametrize("appends", [False, True])
@pytest.mark.parametrize(("count", "heads"), [(3, 1), (3, 2), (2, 3)])
def test_the_gradient_by_hand_is_that_of_finite_differences(
    count: int, heads: int, appends: bool, is_normed: bool
) -> None:
    generator, shapes = torch.Generator().manual_seed(1), ((3 if appends else 4, 2, 6), (2, 6), (6,))
    tensors = [torch.randn(*shape, generator=generator, dtype=torch.float64, requires_grad=True) for shape in shapes]

    def read(state: torch.Tensor, y: torch.Tensor, query: torch.Tensor) -> torch.Tensor:
        return read_sources(state, y, query, count, heads, appends=appends, is_normed=is_normed)[0]

    assert torch.autograd.gradcheck(read, tensors)
    assert torch.autograd.gradgradcheck(read, tensors)
