"""Norms at the ends of float64."""

import pytest
import torch

from mhc_core.layers.norms import normalise
from tests.core.conftest import require


@pytest.mark.parametrize("kind", ["rmsnorm", "layernorm"])
def test_a_float64_state_of_any_size_is_normed(kind: str) -> None:
    x = torch.randn(4, 32, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    plain, weights = x.clone().requires_grad_(), torch.linspace(-1, 2, 32, dtype=torch.float64)
    (normalise(plain, kind) @ weights).sum().backward()
    for power in (140, 160, 300):
        large = (x * 10.0**power).requires_grad_()
        found = normalise(large, kind)
        torch.testing.assert_close(found, normalise(x, kind), rtol=1e-12, atol=1e-12)
        (found @ weights).sum().backward()
        grad, due = require(large.grad), require(plain.grad)
        torch.testing.assert_close(grad * 10.0**power, due, rtol=1e-11, atol=1e-11)
