"""The mixing in another basis: coefficients, and the norms of reads and writes where every H_res is the identity."""

import numpy as np
import pytest
import torch

from mhc_core.metrics.gauge import (
    apply_gauge,
    find_gauge,
    measure_gauge_norms,
    measure_remainder,
)
from mhc_core.metrics.paths import unfold
from tests.core import measures

Mixing = tuple[np.ndarray, np.ndarray, np.ndarray]
READ, WRITE = "gauge_read_norm", "gauge_write_norm"


def draw(layers: int, n: int, scale: float = 0.3) -> Mixing:
    generator = np.random.default_rng(layers + n)
    h_pre, h_post = generator.standard_normal((2, layers, n))
    return h_pre, h_post, np.eye(n) + scale * generator.standard_normal((layers, n, n))


def draw_orthogonal(layers: int, n: int) -> np.ndarray:
    return np.linalg.qr(np.random.default_rng(0).standard_normal((layers, n, n))).Q


def find_norms_by_hand(h_pre: np.ndarray, h_post: np.ndarray, h_res: np.ndarray) -> tuple[list[float], list[float]]:
    reads, writes = [], []
    for layer in range(len(h_pre)):
        passed = measures.product(h_res, 0, layer - 1) if layer else np.eye(h_pre.shape[1])
        reads.append(float(np.linalg.norm(passed.T @ h_pre[layer])))
        written = h_post[layer]
        for matrix in h_res[layer::-1]:
            written = np.linalg.solve(matrix, written)
        writes.append(float(np.linalg.norm(written)))
    return reads, writes


PATH = [0.0, 0.1, 0.25, 0.5, 0.6, 0.75, 0.9, 1.0]


@pytest.mark.parametrize("keep_embedding", [False, True])
@pytest.mark.parametrize("t", PATH)
def test_every_weight_from_output_to_read_stays(t: float, keep_embedding: bool) -> None:
    """The embedding enters, and what is read out leaves, in the basis there: it is put in front of both as a layer."""
    h_pre, h_post, h_res = draw(9, 3)
    gauge = find_gauge(h_res, t, keep_embedding=keep_embedding)
    moved_pre, moved_post, moved_res = apply_gauge(h_pre, h_post, gauge)
    np.testing.assert_allclose(moved_res, gauge.basis[1:] @ h_res @ gauge.inverse[:-1], atol=1e-9)
    np.testing.assert_allclose(gauge.basis @ gauge.inverse, np.tile(np.eye(3), (10, 1, 1)), atol=1e-9)
    due, found = unfold(h_pre, h_post, h_res), unfold(moved_pre, moved_post, moved_res)
    np.testing.assert_allclose(found[:, 1:], due[:, 1:], rtol=1e-9, atol=1e-9)
    for layer in range(9):
        start = gauge.basis[0] @ np.ones(3)
        embedded = moved_pre[layer] @ (measures.product(moved_res, 0, layer - 1) if layer else np.eye(3)) @ start
        assert embedded == pytest.approx(due[layer, 0], rel=1e-9)


def test_mixing_becomes_triangular_then_diagonal_then_the_identity() -> None:
    _, _, h_res = draw(20, 4)
    half, diagonal, identity = (find_gauge(h_res, t).h_res for t in (0.5, 0.75, 1.0))
    np.testing.assert_array_equal(half, np.triu(half))
    np.testing.assert_array_equal(diagonal, diagonal * np.eye(4))
    np.testing.assert_array_equal(identity, np.tile(np.eye(4), (20, 1, 1)))
    np.testing.assert_allclose(np.diagonal(half, axis1=1, axis2=2), np.diagonal(diagonal, axis1=1, axis2=2))
    np.testing.assert_allclose(np.linalg.det(diagonal), np.linalg.det(h_res), rtol=1e-12)


def test_bases_move_in_small_steps_from_that_as_computed() -> None:
    """A negative determinant changes its sign after t = 3/4, and nothing else jumps. Entries stay of one size."""
    _, _, h_res = draw(20, 4, 0.5)
    negative = np.linalg.det(h_res) < 0
    assert 0 < negative.sum() < 20
    path = [find_gauge(h_res, percent / 100, keep_embedding=True) for percent in range(101)]
    steps = np.abs(np.diff([gauge.h_res for gauge in path], axis=0)).max((2, 3))
    assert steps[75, negative].min() > 0.4
    steps[75, negative] = 0
    assert steps.max() < 0.2
    assert np.abs(np.diff([gauge.basis for gauge in path[:76]], axis=0)).max() < 0.6
    assert np.abs([gauge.h_res for gauge in path]).max() < 1.2 * np.abs(h_res).max()
    np.testing.assert_array_equal(path[0].basis, np.tile(np.eye(4), (21, 1, 1)))
    np.testing.assert_allclose(path[100].basis[0], np.eye(4), atol=1e-12)


@pytest.mark.parametrize("t", PATH)
def test_the_basis_that_keeps_the_embedding_differs_by_one_matrix_and_not_before_three_quarters(t: float) -> None:
    _, _, h_res = draw(9, 3)
    gauge, kept = find_gauge(h_res, t), find_gauge(h_res, t, keep_embedding=True)
    if t <= 0.75:
        np.testing.assert_array_equal(kept.basis, gauge.basis)
    apart = kept.basis @ gauge.inverse
    np.testing.assert_allclose(apart, np.tile(apart[0], (10, 1, 1)), atol=1e-10)


@pytest.mark.parametrize("t", [0.1, 0.5, 0.9, 0.99])
def test_orthogonal_mixing_stays_orthogonal_on_the_way(t: float) -> None:
    for keep_embedding in (False, True):
        gauge = find_gauge(draw_orthogonal(256, 4), t, keep_embedding=keep_embedding)
        np.testing.assert_allclose(
            gauge.h_res @ gauge.h_res.transpose(0, 2, 1), np.tile(np.eye(4), (256, 1, 1)), atol=1e-11
        )
        np.testing.assert_allclose(gauge.condition, 1, rtol=1e-9)


def test_singular_mixing_has_no_other_basis_but_stays_as_it_is() -> None:
    uniform = np.full((3, 4, 4), 0.25)
    for t in (0.3, 0.6, 0.9, 1.0):
        np.testing.assert_array_equal(find_gauge(uniform, t).basis[0], np.eye(4))
        assert np.isnan(find_gauge(uniform, t).basis[1:]).all()
    np.testing.assert_array_equal(find_gauge(uniform, 0.0).basis, np.tile(np.eye(4), (4, 1, 1)))


@pytest.mark.parametrize(("layers", "n"), [(1, 4), (2, 1), (7, 3), (64, 4)])
def test_norms_are_those_of_the_products(layers: int, n: int) -> None:
    mixing = draw(layers, n)
    for key, wanted in zip((READ, WRITE), find_norms_by_hand(*mixing), strict=True):
        value, log10 = measure_gauge_norms(*mixing)[key]
        np.testing.assert_allclose(value, wanted, rtol=1e-10)
        np.testing.assert_allclose(log10, np.log10(wanted), atol=1e-10)


def test_norms_are_those_of_the_coefficients_in_the_fixed_basis() -> None:
    mixing = draw(20, 4)
    h_pre, h_post, _ = apply_gauge(*mixing[:2], find_gauge(mixing[2], 1.0, keep_embedding=True))
    found = measure_gauge_norms(*mixing)
    np.testing.assert_allclose(found[READ][0], np.linalg.norm(h_pre, axis=1), rtol=1e-11)
    np.testing.assert_allclose(found[WRITE][0], np.linalg.norm(h_post, axis=1), rtol=1e-11)


def test_orthogonal_mixing_has_no_price_at_any_depth() -> None:
    h_pre, h_post, _ = draw(1024, 4)
    found = measure_gauge_norms(h_pre, h_post, draw_orthogonal(1024, 4))
    np.testing.assert_allclose(found[READ][0], np.linalg.norm(h_pre, axis=1), rtol=1e-12)
    np.testing.assert_allclose(found[WRITE][0], np.linalg.norm(h_post, axis=1), rtol=1e-12)


@pytest.mark.parametrize("lost", range(3))
def test_norms_before_a_layer_that_overflows_are_those_of_a_stack_that_ends_there(lost: int) -> None:
    mixing = draw(8, 4)
    mixing[lost][5].flat[0] = np.inf
    found, wanted = measure_gauge_norms(*mixing), measure_gauge_norms(*(part[:5] for part in mixing))
    for key in (READ, WRITE):
        np.testing.assert_array_equal(found[key][0][:5], wanted[key][0])
        assert np.isnan(found[key][0][5:]).all()
    assert np.isfinite(found[READ][0][:5]).all()
    mixing[lost][0].flat[0] = np.nan
    assert np.isnan(measure_gauge_norms(*mixing)[READ][0]).all()


def test_mixing_that_halves_differences_doubles_what_writes_them() -> None:
    """H = J/n + (I - J/n) / 2: a read apart from the mean halves with every layer, a write doubles, until a rounding
    of float32 can decide it."""
    n, layers, apart = 4, 40, np.array([1.0, -1.0, 0.0, 0.0])
    uniform = np.full((n, n), 1 / n)
    h_res = np.tile(uniform + (np.eye(n) - uniform) / 2, (layers, 1, 1))
    found = measure_gauge_norms(np.tile(apart, (layers, 1)), np.tile(apart, (layers, 1)), h_res)
    steps = np.arange(layers)
    for key, wanted, known in (
        (READ, 2**0.5 * 0.5**steps, (8, 25)),
        (WRITE, 2**0.5 * 2.0 ** (steps + 1), (layers, layers)),
    ):
        value, log10 = found[key]
        last = int(np.isfinite(value).sum())
        assert known[0] <= last <= known[1], key
        np.testing.assert_allclose(value[:last], wanted[:last], rtol=1e-6)
        np.testing.assert_allclose(log10[:last], np.log10(wanted[:last]), atol=1e-6)
        assert np.isnan(value[last:]).all()


@pytest.mark.parametrize("draws", range(3))
def test_a_rounding_to_float32_moves_no_norm_that_is_given_by_ten_percent(draws: int) -> None:
    """Reads that are the same for all streams lose what uneven mixing makes of them, writes nothing of the mean."""
    generator = np.random.default_rng(draws)
    n, layers = 4, 48
    entries = generator.random((layers, n, n)) ** 4
    for _ in range(200):
        entries /= entries.sum(1, keepdims=True)
        entries /= entries.sum(2, keepdims=True)
    mixing = np.ones((layers, n)) + 0.1 * generator.standard_normal((layers, n)), np.ones((layers, n)), entries
    rounded = mixing[0], mixing[1], entries.astype(np.float32).astype(np.float64)
    exact, moved = measure_gauge_norms(*mixing), measure_gauge_norms(*rounded)
    for key in (READ, WRITE):
        given = np.isfinite(exact[key][0]) & np.isfinite(moved[key][0])
        assert given[:4].all()
        np.testing.assert_allclose(moved[key][0][given], exact[key][0][given], rtol=0.1)
    assert np.isnan(exact[WRITE][0]).any(), "writes of the mean alone are lost between others"


def test_norms_beyond_float64_are_known_by_their_logarithm() -> None:
    layers = 200
    mixing = np.ones((layers, 2)), np.ones((layers, 2)), np.tile(1e3 * np.eye(2), (layers, 1, 1))
    found = measure_gauge_norms(*mixing)
    assert found[READ][0][-1] == np.inf
    assert found[READ][1][-1] == pytest.approx(3 * (layers - 1) + 0.5 * np.log10(2))
    assert found[WRITE][0][-1] == 0
    assert found[WRITE][1][-1] == pytest.approx(-3 * layers + 0.5 * np.log10(2))


def test_weights_of_zero_stay_zero() -> None:
    h_pre, h_post, h_res = draw(6, 4)
    h_pre[3], h_post[4] = 0, 0
    found = measure_gauge_norms(h_pre, h_post, h_res)
    assert found[READ][0][3] == found[WRITE][0][4] == 0


def test_a_basis_beyond_float64_is_not_known() -> None:
    """Of unequal streams, one grows by 1e3 a layer and the other shrinks. Factors on streams cost no digits."""
    unequal = np.tile(np.diag([1e3, 1e-3]), (90, 1, 1))
    np.testing.assert_allclose(find_gauge(unequal, 1.0).condition, 1)
    assert find_gauge(np.tile(unequal, (5, 1, 1)), 1.0).condition[0] == np.inf
    turn = np.array([[0.8, -0.6], [0.6, 0.8]])
    turned = turn @ unequal @ turn.T
    np.testing.assert_allclose(find_gauge(turned, 1.0).condition, 1)
    assert find_gauge(turned, 1.0, keep_embedding=True).condition[2] == pytest.approx(1e12, rel=0.5)


@pytest.mark.parametrize(("layers", "n", "scale"), [(1, 4, 0.3), (7, 2, 0.3), (256, 4, 0.3), (256, 8, 1.0)])
@pytest.mark.parametrize("t", [0.2, 0.6, 0.9, 1.0])
def test_bases_keep_their_digits_where_products_lose_theirs(t: float, layers: int, n: int, scale: float) -> None:
    _, _, h_res = draw(layers, n, scale)
    gauge = find_gauge(h_res, t)
    assert gauge.condition.max() < 1e4
    rows = np.linalg.norm(gauge.basis, axis=2, keepdims=True)
    undone = gauge.inverse * rows.transpose(0, 2, 1)
    mixed = gauge.h_res * rows[:-1].transpose(0, 2, 1) / rows[1:]
    np.testing.assert_allclose(gauge.basis[1:] / rows[1:] @ h_res, mixed @ (gauge.basis[:-1] / rows[:-1]), atol=1e-11)
    np.testing.assert_allclose(gauge.basis / rows @ undone, np.tile(np.eye(n), (layers + 1, 1, 1)), atol=1e-11)


def test_no_basis_is_known_from_a_singular_layer_on() -> None:
    _, _, h_res = draw(5, 4)
    h_res[2] = 0.25
    for t in (0.3, 1.0):
        np.testing.assert_array_equal(np.isinf(find_gauge(h_res, t).condition), [False] * 3 + [True] * 3)


def test_what_tokens_mix_beyond_their_mean() -> None:
    """In the basis behind the layer a token has H[t] H^-1, and the mean of these is the identity."""
    samples = np.eye(3) + 0.3 * np.random.default_rng(0).standard_normal((2, 7, 3, 3))
    found = measure_remainder(torch.from_numpy(samples)).numpy()
    for layer, own in enumerate(samples):
        turned = own @ np.linalg.inv(own.mean(0))
        np.testing.assert_allclose(turned.mean(0), np.eye(3), atol=1e-12)
        wanted = np.sqrt(np.mean([np.linalg.norm(matrix - np.eye(3)) ** 2 for matrix in turned]))
        assert found[layer] == pytest.approx(wanted, rel=1e-12)
    again = np.linalg.inv(samples[:, :1]) @ samples @ samples[:, 1:2]
    assert measure_remainder(torch.from_numpy(again[:1, :1].repeat(5, 1))).numpy() == pytest.approx(0, abs=1e-12)


def test_tokens_around_a_uniform_mean_have_no_basis() -> None:
    swap = torch.eye(2, dtype=torch.float64).flip(0)
    samples = torch.stack([torch.eye(2, dtype=torch.float64), swap])[None]
    assert torch.isnan(measure_remainder(samples)).all()
    assert torch.isnan(measure_remainder(torch.full((1, 3, 4, 4), torch.inf))).all()
