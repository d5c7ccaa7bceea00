"""The effective number of streams that layers read and write: closed forms, and n to the power of the evenness."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from mhc_core.metric import LayerBlock, NoMixing
from mhc_core.metrics.effective_streams import count_effective, measure_reads, measure_writes
from tests.core.conftest import CONNECTIONS, build_spec, measure

KINDS = ("read", "write")


def build_block(**coefficients: Any) -> LayerBlock:
    empty = torch.zeros(1, 1, 1)
    mixing = SimpleNamespace(**{key: torch.tensor(value) for key, value in coefficients.items()})
    return LayerBlock(empty.unsqueeze(0), empty, empty, empty, [mixing])


@pytest.mark.parametrize(
    ("weights", "count"),
    [
        ([1.0, 1.0, 1.0, 1.0], 4.0),
        ([0.0, -2.0, 0.0, 0.0], 1.0),
        ([3.0, -3.0, 0.0, 0.0], 2.0),
        ([2.0, 1.0, 1.0, 0.0], 2.0**1.5),  # entropy of 1/2, 1/4, 1/4: 3/2 bits
        ([0.0, 0.0, 0.0, 0.0], np.nan),
    ],
)
def test_closed_forms(weights: list[float], count: float) -> None:
    found = count_effective(torch.tensor([weights], dtype=torch.float64))
    np.testing.assert_allclose(found.numpy(), [count], rtol=1e-14)


def test_samples_are_averaged_before_weights_are_compared() -> None:
    block = build_block(
        h_pre=[[1.0, 0.0], [0.0, 1.0]], h_post=[[1.0, 3.0], [3.0, -3.0]], h_res=[[[1.0, 0.0], [0.0, 1.0]]] * 2
    )
    np.testing.assert_allclose(measure_reads(block).numpy(), [2.0])
    np.testing.assert_allclose(measure_writes(block).numpy(), [1.0])


def test_of_a_read_matrix_the_columns_are_counted() -> None:
    block = build_block(h_pre=[[3.0, 0.0], [-4.0, 1.0]], h_post=[1.0, 1.0], h_res=[[1.0, 0.0], [0.0, 1.0]])
    share = np.array([7 / 8, 1 / 8])
    np.testing.assert_allclose(measure_reads(block).numpy(), [np.prod(share**-share)], rtol=1e-14)


def test_one_stream_has_no_count() -> None:
    with pytest.raises(NoMixing, match="one stream"):
        count_effective(torch.ones(1, 1))
    layers = measure(build_spec(connection=CONNECTIONS["residual"])).layers
    assert not {f"{kind}_effective_streams" for kind in KINDS} & layers.keys()


@pytest.mark.parametrize("name", ["hc-dynamic", "mhc", "frac"])
def test_it_is_n_to_the_power_of_the_evenness(name: str) -> None:
    spec = build_spec(connection=CONNECTIONS[name])
    result = measure(spec)
    for kind in KINDS:
        wanted = float(spec.streams) ** result.layers[f"{kind}_share_entropy"]
        np.testing.assert_allclose(result.layers[f"{kind}_effective_streams"], wanted, rtol=1e-12)
