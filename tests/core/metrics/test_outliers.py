"""Peak and kurtosis of streams: closed forms, and values of any size."""

import math

import numpy as np
import pytest
import torch

from mhc_core.metric import LayerBlock
from mhc_core.metrics.outliers import (
    measure_kurtosis,
    measure_peak,
    measure_token_kurtosis,
    measure_token_peak,
)
from tests.core.conftest import build_spec, measure


def build_block(x_KnNC: torch.Tensor) -> LayerBlock:
    merged = x_KnNC.mean(1)
    return LayerBlock(x_KnNC, merged, merged, merged, [])


def test_gaussian_streams_have_kurtosis_three_and_the_peak_of_so_many_numbers() -> None:
    x_KnNC = torch.randn(2, 3, 256, 64, generator=torch.Generator().manual_seed(0))
    block = build_block(x_KnNC)
    assert measure_kurtosis(block).numpy() == pytest.approx(np.full((2, 3), 3.0), abs=0.15)
    expected = math.sqrt(2 * math.log(256 * 64))
    assert measure_peak(block).numpy() == pytest.approx(np.full((2, 3), expected), rel=0.2)


@pytest.mark.parametrize("size", [1e-310, 1e-30, 1.0, 1e30, 1e300])
def test_one_entry_of_many_has_the_largest_values(size: float) -> None:
    x_KnNC = torch.zeros(1, 2, 8, 4, dtype=torch.float32 if 1e-38 < size < 1e38 else torch.float64)
    x_KnNC[0, 0, 3, 1] = size
    x_KnNC[0, 1] = size
    block = build_block(x_KnNC)
    assert measure_peak(block).numpy() == pytest.approx(np.array([[math.sqrt(32), 1.0]]))
    assert measure_kurtosis(block).numpy() == pytest.approx(np.array([[32.0, 1.0]]))


def test_a_stream_of_zeros_has_no_value() -> None:
    block = build_block(torch.zeros(1, 1, 8, 4))
    for measure_one in (measure_peak, measure_kurtosis, measure_token_peak, measure_token_kurtosis):
        assert measure_one(block).isnan().all()


@pytest.mark.parametrize("size", [1e-30, 1.0, 1e30])
def test_of_tokens_the_worst_one_counts_whatever_its_size(size: float) -> None:
    x_KnNC = torch.ones(1, 2, 8, 4)
    x_KnNC[0, 0, 3] = size * torch.tensor([0.0, 0.0, -2.0, 0.0])  # one feature is everything
    x_KnNC[0, 1, 5] = size * torch.tensor([3.0, 1.0, 1.0, 1.0])
    x_KnNC[0, :, 6] = 0  # has no value
    block = build_block(x_KnNC)
    assert measure_token_peak(block).numpy() == pytest.approx(np.array([[2.0, math.sqrt(3)]]))
    assert measure_token_kurtosis(block).numpy() == pytest.approx(np.array([[4.0, 84 / 4 / 9]]))


def test_a_token_as_a_whole_stands_out_in_the_stream_and_not_among_its_features() -> None:
    x_KnNC = torch.ones(1, 1, 8, 4)
    x_KnNC[0, 0, 2] = 1e4
    block = build_block(x_KnNC)
    assert measure_peak(block).item() == pytest.approx(math.sqrt(8), rel=1e-6)
    assert measure_token_peak(block).item() == pytest.approx(1.0)
    assert measure_token_kurtosis(block).item() == pytest.approx(1.0)


def test_a_token_that_is_not_finite_leaves_no_value() -> None:
    x_KnNC = torch.ones(1, 1, 8, 4)
    x_KnNC[0, 0, 2, 1] = torch.inf
    block = build_block(x_KnNC)
    assert measure_token_peak(block).isnan().all()
    assert measure_token_kurtosis(block).isnan().all()


def test_a_run_has_all_for_every_layer_and_stream() -> None:
    result = measure(build_spec(connection={"kind": "hc", "streams": 3}))
    for key in ("act_peak", "act_kurtosis", "act_token_peak", "act_token_kurtosis"):
        assert result.layers[key].shape == (result.depth, 3)
        assert (result.layers[key] >= 1).all()
