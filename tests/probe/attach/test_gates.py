"""Gates of single features in a model from elsewhere: those that its own module makes, and none that are not gates."""

from typing import Any

import numpy as np
import pytest
import torch

from mhc_probe import attach
from mhc_probe.recording.coefficients import find_gates
from tests.probe.attach.zoo import ZOO

N, SAMPLES, WIDTH = 3, 7, 8
CUT = {"layers": [2, 2], "what": "stream", "index": 1, "do": "zero"}


def draw_read(*, is_static: bool = False) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    """Streams (n, N, C), gates and normed streams (N, n, C), and what is read of them (N, C)."""
    generator = torch.Generator().manual_seed(1)
    x_nNC = 0.02 * torch.randn(N, SAMPLES, WIDTH, generator=generator)
    gain = 1 + 0.3 * torch.randn(N, WIDTH, generator=generator)
    normed = gain * (x_nNC * torch.rsqrt(x_nNC.square().mean(2, keepdim=True) + 1e-6)).movedim(0, 1)
    gates = torch.rand(*([] if is_static else [SAMPLES]), N, WIDTH, generator=generator)
    return x_nNC, gates, normed, (gates * normed).mean(1)


@pytest.mark.parametrize("is_static", [False, True])
def test_gates_are_found_among_the_factors_in_either_order(is_static: bool) -> None:
    x_nNC, gates, normed, u = draw_read(is_static=is_static)
    for factors in ([gates, normed], [normed.flatten(1), gates]):
        found = find_gates(x_nNC, u, factors, 1e-5)
        assert found is not None
        torch.testing.assert_close(found, gates.expand(SAMPLES, N, WIDTH), rtol=0, atol=0)


def test_nothing_is_called_a_gate_that_is_none() -> None:
    x_nNC, gates, normed, u = draw_read()
    others = torch.randn(SAMPLES, N, WIDTH, generator=torch.Generator().manual_seed(2))
    assert find_gates(x_nNC, u + 0.1, [gates, normed], 1e-5) is None, "something else is read"
    assert find_gates(x_nNC, 3 * u, [3 * gates, normed], 1e-5) is None, "above 1"
    assert find_gates(x_nNC, (gates * others).mean(1), [gates, others], 1e-5) is None, "of no stream"
    assert find_gates(x_nNC, u, [], 1e-5) is None
    assert find_gates(x_nNC, u, [gates, normed[:5]], 1e-5) is None


def test_a_stream_of_zeros_has_gates_of_zero() -> None:
    x_nNC, gates, normed, _ = draw_read()
    x_nNC[1], normed[:, 1] = 0, 0
    found = find_gates(x_nNC, (gates * normed).mean(1), [gates, normed], 1e-5)
    assert found is not None
    assert not found[:, 1].any()
    assert torch.equal(found[:, [0, 2]], gates[:, [0, 2]])


@pytest.mark.full
def test_gates_of_qwen4_are_those_that_its_modules_make() -> None:
    animal = ZOO["Qwen4-Exp"]
    model = animal.build()
    made: list[Any] = []
    for name, module in model.named_modules():
        if name.endswith("_hyper_connection.input_mix_weight_up"):
            module.register_forward_hook(lambda _, inputs, output: made.append(torch.sigmoid(output).detach()))
    with attach(model) as probe:
        animal.feed(model)
    result = probe.result()
    assert len(made) == result.depth
    for layer, gates in enumerate(made):
        wanted = gates.double().reshape(-1, result.streams, result.width).numpy()
        np.testing.assert_allclose(result.matrices["gates"][layer], wanted.mean(0), rtol=1e-6)
        np.testing.assert_allclose(result.matrices["gates_std"][layer], wanted.std(0), atol=1e-7)
        assert wanted.std(0).max() > 1e-3, "they depend on tokens"
    assert "gates" not in result.status


@pytest.mark.full
def test_a_stream_of_qwen4_that_is_cut_has_gates_of_zero_where_it_is_cut() -> None:
    animal = ZOO["Qwen4-Exp"]
    model = animal.build()
    with attach(model, edits=[CUT]) as probe:
        animal.feed(model)
    gates = probe.result().matrices["gates"]
    assert not gates[2, 1].any()
    assert gates[[0, 1, 3]].min() > 0


def test_vectors_whose_size_divides_that_of_the_states_are_no_gates() -> None:
    n, samples, width = 4, 3, 32
    x_nNC = torch.rand(n, samples, width)
    vectors = [torch.rand(samples, width), torch.rand(samples, width)]
    assert find_gates(x_nNC, torch.rand(samples, width), vectors, 1e-5) is None
