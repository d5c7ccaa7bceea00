"""Sinkhorn-Knopp: closed forms, invariances, wide logits, and what twenty rounds leave."""

import math

import numpy as np
import pytest
import torch

from mhc_core.layers.sinkhorn import sinkhorn
from tests.oracles import plain_families


def draw(*shape: int, scale: float = 1.0, dtype: torch.dtype = torch.float64) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    return scale * torch.randn(*shape, generator=generator, dtype=torch.float64).to(dtype)


def test_two_by_two_is_a_sigmoid() -> None:
    t = draw(50, 2, 2)
    p = torch.sigmoid((t[:, 0, 0] + t[:, 1, 1] - t[:, 0, 1] - t[:, 1, 0]) / 2)
    wanted = torch.stack([torch.stack([p, 1 - p], -1), torch.stack([1 - p, p], -1)], -2)
    assert torch.allclose(sinkhorn(t, 200), wanted, rtol=0, atol=1e-12)


@pytest.mark.parametrize(("n", "k"), [(4, 1.0), (4, 8.0), (2, 3.0), (16, 2.5)])
def test_a_multiple_of_the_identity(n: int, k: float) -> None:
    for rounds in (1, 20):
        matrix = sinkhorn(k * torch.eye(n, dtype=torch.float64), rounds).numpy()
        total = math.exp(k) + n - 1
        np.testing.assert_allclose(np.diag(matrix), math.exp(k) / total, rtol=1e-14)
        np.testing.assert_allclose(np.linalg.eigvalsh(matrix)[:-1], (math.exp(k) - 1) / total, rtol=1e-12)


def test_the_printed_values_of_the_identity() -> None:
    matrix = sinkhorn(torch.eye(4, dtype=torch.float64), 20).numpy()
    assert matrix[0, 0] == pytest.approx(0.475367, abs=5e-7)
    assert np.linalg.eigvalsh(matrix)[-2] == pytest.approx(0.300489, abs=5e-7)


def test_no_rounds_leave_the_exponential() -> None:
    t = draw(3, 4, 4)
    assert torch.equal(sinkhorn(t, 0), t.exp())


@pytest.mark.parametrize("rounds", [1, 2, 5, 20])
def test_every_round_takes_columns_then_rows(rounds: int) -> None:
    t = draw(10, 5, 5, scale=3)
    wanted = plain_families.sinkhorn(t, rounds)
    np.testing.assert_allclose(sinkhorn(t, rounds).numpy(), wanted.numpy(), rtol=1e-12)


@pytest.mark.parametrize("rounds", [1, 2, 20])
def test_eps_enters_as_in_deepseeks_form(rounds: int) -> None:
    t = draw(10, 5, 5, scale=3)
    wanted = plain_families.sinkhorn_of_deepseek(t, rounds, 1e-4)
    np.testing.assert_allclose(sinkhorn(t, rounds, 1e-4).numpy(), wanted.numpy(), rtol=1e-12)
    sums = sinkhorn(t, 20, 1e-6).sum(-1)
    assert 1e-8 < (sums - 1).abs().max() < 1e-5


@pytest.mark.parametrize("n", [1, 2, 4, 16])
@pytest.mark.parametrize("scale", [0.3, 3.0, 30.0])
def test_row_sums_are_exact_at_any_spread(n: int, scale: float) -> None:
    for dtype, roundings in ((torch.float64, 4e-16), (torch.float32, 2e-7)):
        sums = sinkhorn(draw(100, n, n, scale=scale, dtype=dtype), 20).sum(-1)
        assert (sums - 1).abs().max() <= roundings * n


def test_permuting_streams_permutes_the_matrix() -> None:
    t, rows, columns = draw(5, 5), torch.tensor([3, 0, 4, 1, 2]), torch.tensor([1, 4, 0, 2, 3])
    for rounds in (1, 20):
        assert torch.allclose(sinkhorn(t[rows][:, columns], rounds), sinkhorn(t, rounds)[rows][:, columns], rtol=1e-13)


def test_a_constant_on_a_row_or_a_column_changes_nothing_once_converged() -> None:
    t, shift = draw(5, 5), draw(2, 5, scale=2)
    moved = t + shift[0][:, None] + shift[1][None, :]
    assert torch.allclose(sinkhorn(moved, 200), sinkhorn(t, 200), rtol=0, atol=1e-12)
    # Rows are divided last but columns first: with few rounds a shift of a column alone is forgotten at once.
    assert torch.allclose(sinkhorn(t + shift[1][None, :], 1), sinkhorn(t, 1), rtol=1e-13)
    assert not torch.allclose(sinkhorn(t + shift[0][:, None], 1), sinkhorn(t, 1), rtol=1e-3)


def test_the_limit_is_doubly_stochastic_with_norm_one() -> None:
    matrices = sinkhorn(draw(20, 4, 4), 200).numpy()
    np.testing.assert_allclose(matrices.sum(1), 1, atol=1e-12)
    assert (matrices > 0).all()
    np.testing.assert_allclose(np.linalg.norm(matrices, 2, axis=(1, 2)), 1, atol=1e-12)
    product = np.linalg.multi_dot(list(matrices))
    sigma2 = np.linalg.svd(matrices, compute_uv=False)[:, 1]
    assert np.linalg.norm(product - 1 / 4, 2) <= np.prod(sigma2) * (1 + 1e-9) + 1e-15


@pytest.mark.parametrize("rounds", [1, 3, 20])
def test_logits_over_a_range_of_two_hundred_stay_finite_in_float32(rounds: int) -> None:
    generator = torch.Generator().manual_seed(0)
    t = (200 * torch.rand(400, 4, 4, generator=generator, dtype=torch.float64) - 100).float()
    single, double = sinkhorn(t, rounds), sinkhorn(t.double(), rounds)
    assert torch.isfinite(single).all()
    assert (single - double).abs().max() < 5e-6  # the logits themselves are only known to 200 * 6e-8
    assert ((single.sum(-1) - 1).abs() < 1e-6).all()
    assert torch.isfinite(double).all()


def test_wide_logits_keep_a_finite_gradient() -> None:
    generator = torch.Generator().manual_seed(0)
    t = (200 * torch.rand(50, 4, 4, generator=generator) - 100).requires_grad_()
    (grad,) = torch.autograd.grad(sinkhorn(t, 20).square().sum(), t)
    assert torch.isfinite(grad).all()


@pytest.mark.parametrize(("noise", "wanted"), [(0.3, 6e-4), (1.0, 3e-3), (4.0, 2e-2)])
def test_what_twenty_rounds_leave_in_the_columns(noise: float, wanted: float) -> None:
    """Near a permutation the iteration is slow: the preset `residual` has -8 off its diagonal."""
    start = -8 * (1 - torch.eye(4, dtype=torch.float64))
    matrices = sinkhorn(start + draw(4000, 4, 4, scale=noise), 20)
    error = (matrices.sum(-2) - 1).abs().amax(-1)
    assert wanted / 2 < error.median() < 2 * wanted


@pytest.mark.full
@pytest.mark.parametrize(("scale", "wanted"), [(1.0, 6e-4), (5.0, 0.09), (10.0, 0.5)])
def test_the_worst_that_twenty_rounds_leave_of_normal_logits(scale: float, wanted: float) -> None:
    """Worst of 10000 matrices, in the median of nine such draws; errors of the sums that are normalised first.

    In the paper's order these are the columns; taken rows first, by symmetry, the rows.
    """
    t = scale * draw(9, 10_000, 4, 4)
    errors = (sinkhorn(t, 20).sum(-2) - 1).abs().amax((1, 2))
    print(f"\nscale {scale:g}: {errors.median():.1e} in the median, {errors.min():.1e} to {errors.max():.1e}")
    assert wanted / 2 < errors.median() < 2 * wanted


def test_at_the_uniform_point_the_derivative_is_a_double_centring() -> None:
    n = 4
    centre = torch.eye(n, dtype=torch.float64) - 1 / n
    direction = draw(n, n)
    t = torch.zeros(n, n, dtype=torch.float64)
    _, slope = torch.autograd.functional.jvp(lambda logits: sinkhorn(logits, 20), t, direction)
    assert torch.allclose(slope, centre @ direction @ centre / n, rtol=0, atol=1e-14)
