"""Converged Sinkhorn against optimal transport: cost -t, unit marginals, entropic regularisation 1."""

import numpy as np
import pytest
import torch

from mhc_core.layers.sinkhorn import sinkhorn
from tests.oracles.conftest import draw

pytestmark = pytest.mark.full


@pytest.mark.parametrize("scale", [0.5, 1.0, 2.0])
@pytest.mark.parametrize("n", [2, 3, 4, 8])
def test_the_limit_is_the_transport_plan(n: int, scale: float) -> None:
    import ot  # of the lane that runs this alone: it takes seconds

    for seed in range(5):
        t = scale * draw(seed, n, n)
        plan = ot.sinkhorn(np.ones(n), np.ones(n), -t.numpy(), reg=1.0, numItermax=20_000, stopThr=1e-14)
        ours = sinkhorn(t, 3000)
        assert isinstance(plan, np.ndarray)
        np.testing.assert_allclose(ours.numpy(), plan, atol=1e-10)
        assert torch.allclose(ours.sum(0), torch.ones(n, dtype=torch.float64), atol=1e-10)
