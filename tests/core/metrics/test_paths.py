"""What enters at one depth and arrives at another: effective skip connections, composites and gains of any interval."""

import time

import numpy as np
import pytest
import torch

from mhc_core.families import FAMILIES
from mhc_core.layers.connections import Mixing
from mhc_core.metrics.mixing import composite
from mhc_core.metrics.paths import count_streams, measure_kernel_shares, unfold
from mhc_core.metrics.token_products import TokenProducts, to_gains
from mhc_core.record.columns import fetch
from mhc_core.stack import build_stack
from tests.core import measures
from tests.core.conftest import CONNECTIONS, MIXED, PARTS, build_spec, measure, shake


def draw(layers: int, n: int, scale: float = 1.0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    generator = np.random.default_rng(layers * n)
    sizes = ((layers, n), (layers, n), (layers, n, n))
    h_pre, h_post, h_res = (scale * generator.standard_normal(size) for size in sizes)
    return h_pre, h_post, h_res


def unfold_by_hand(h_pre: np.ndarray, h_post: np.ndarray, h_res: np.ndarray) -> np.ndarray:
    """w[k,j] as printed, layers from 1 and the embedding 0."""
    layers, n = h_pre.shape
    weights = np.zeros((layers, layers + 1))
    for k in range(1, layers + 1):
        for j in range(k):
            post = h_post[j - 1] if j else np.ones(n)
            weights[k - 1, j] = h_pre[k - 1] @ measures.product(h_res, j, k - 2) @ post
    return weights


@pytest.mark.parametrize(("layers", "n"), [(1, 4), (2, 1), (7, 3), (20, 4)])
def test_every_weight_is_its_product(layers: int, n: int) -> None:
    mixing = draw(layers, n)
    np.testing.assert_allclose(unfold(*mixing), unfold_by_hand(*mixing), rtol=1e-11, atol=1e-11)


def list_kernels(h_pre: np.ndarray, h_post: np.ndarray, h_res: np.ndarray) -> list[np.ndarray]:
    """The weights that cross each layer: of the embedding and the outputs up to it, in later reads and the mean at the
    end."""
    layers, n = h_pre.shape
    last = [measures.product(h_res, j, layers - 1) @ (h_post[j - 1] if j else np.ones(n)) for j in range(layers + 1)]
    weights = np.vstack([unfold_by_hand(h_pre, h_post, h_res), np.mean(last, 1)])
    return [weights[layer + 1 :, : layer + 2] for layer in range(layers)]


def count_used(h_pre: np.ndarray, h_post: np.ndarray, h_res: np.ndarray) -> np.ndarray:
    return count_streams(measure_kernel_shares(h_pre, h_post, h_res))


def rank_by_hand(kernel: np.ndarray) -> float:
    values = np.linalg.svd(kernel, compute_uv=False)
    share = values[values > 1e-14 * values[0]] / values.sum()
    return float(np.exp(-np.sum(share * np.log(share))))


@pytest.mark.parametrize(("layers", "n"), [(1, 4), (2, 1), (7, 3), (20, 4)])
def test_streams_in_use_are_the_rank_of_the_weights_that_cross_a_layer(layers: int, n: int) -> None:
    mixing = draw(layers, n)
    wanted = [rank_by_hand(kernel) for kernel in list_kernels(*mixing)]
    np.testing.assert_allclose(count_used(*mixing), wanted, rtol=1e-10)


@pytest.mark.parametrize(("layers", "n"), [(1, 4), (2, 1), (7, 3), (20, 4)])
def test_shares_are_the_singular_values_of_the_weights_that_cross_a_layer(layers: int, n: int) -> None:
    mixing = draw(layers, n)
    found = measure_kernel_shares(*mixing)
    assert found.shape == (layers, n)
    for shares, kernel in zip(found, list_kernels(*mixing), strict=True):
        values = np.linalg.svd(kernel, compute_uv=False)[:n]
        np.testing.assert_allclose(shares[: len(values)], values / values.sum(), rtol=1e-9, atol=1e-13)
        np.testing.assert_allclose(shares[len(values) :], 0, atol=1e-13)


@pytest.mark.parametrize("k", [1, 2, 3, 4])
def test_a_network_of_k_streams_written_in_four_uses_k(k: int) -> None:
    """Q (4, k) and P (k, 4) with P Q = I write each stream of k as a combination of four."""
    generator = np.random.default_rng(k)
    lift = generator.standard_normal((4, k))
    lower = np.linalg.pinv(lift) + generator.standard_normal((k, 4)) @ (np.eye(4) - lift @ np.linalg.pinv(lift))
    h_pre, h_post, h_res = draw(12, k, 0.7)
    mixing = h_pre @ lower, h_post @ lift.T, lift @ h_res @ lower
    kernels = list_kernels(*mixing)
    middle = np.linalg.svd(kernels[5], compute_uv=False)
    assert (middle > 1e-10 * middle[0]).sum() == k, "the rank itself"
    found = count_used(*mixing)
    np.testing.assert_allclose(found, [rank_by_hand(kernel) for kernel in kernels], rtol=1e-9)
    assert found.max() <= k + 1e-9
    shares = measure_kernel_shares(*mixing)[5]
    assert (shares > 1e-10 * shares[0]).sum() == k, "as many Hankel singular values are not 0"


def test_streams_in_use_do_not_depend_on_the_basis_of_the_streams() -> None:
    """Another basis between layers, the old one at both ends."""
    h_pre, h_post, h_res = draw(12, 4)
    bases = np.random.default_rng(5).standard_normal((13, 4, 4))
    bases[0] = bases[-1] = np.eye(4)
    undone = np.linalg.inv(bases)
    turned = (
        np.einsum("li,lij->lj", h_pre, undone[:-1]),
        np.einsum("lij,lj->li", bases[1:], h_post),
        bases[1:] @ h_res @ undone[:-1],
    )
    np.testing.assert_allclose(count_used(*turned), count_used(h_pre, h_post, h_res), rtol=1e-8)


def test_streams_in_use_of_any_size_and_of_what_is_not_finite() -> None:
    h_pre, h_post, h_res = draw(400, 4, 30.0)
    assert np.isfinite(count_used(h_pre, h_post, h_res)).all(), "products are beyond float64"
    h_res[3, 0, 0] = np.inf
    assert np.isnan(count_used(h_pre, h_post, h_res)).all()


def test_streams_that_are_read_and_written_alike_count_as_one() -> None:
    result = measure(build_spec(connection={"kind": "mhc", "noise": 0.0}))
    np.testing.assert_allclose(result.layers["kernel_rank"], 1.0, atol=1e-9)


def test_residual_reads_everything_before_and_a_plain_stack_only_the_last() -> None:
    residual = measure(build_spec(connection={"kind": "residual"})).matrices["unfolded"]
    np.testing.assert_array_equal(residual, np.tri(4, 5))
    plain = measure(build_spec(connection={"kind": "none"})).matrices["unfolded"]
    np.testing.assert_array_equal(plain, np.eye(4, 5))


@pytest.mark.parametrize("dynamic", [False, True])
def test_hc_at_its_papers_init_unfolds_to_the_residual_network(dynamic: bool) -> None:
    connection = {"kind": "hc", "noise": 0.0, "dynamic": dynamic}
    np.testing.assert_array_equal(measure(build_spec(connection=connection)).matrices["unfolded"], np.tri(4, 5))


# A layer between parts of the width reads a matrix of parts: no single weight tells what an output is to it.
# Attention over depth has its weights from no mixing: test_depth.py.
WEIGHTED = [name for name in MIXED if name not in PARTS]


@pytest.mark.sample(4)
@pytest.mark.parametrize("name", WEIGHTED)
def test_a_runs_weights_are_those_of_its_mean_coefficients(name: str) -> None:
    result = measure(build_spec(depth=9, connection=CONNECTIONS[name]))
    wanted = unfold_by_hand(*(result.matrices[key] for key in ("h_pre", "h_post", "h_res")))
    np.testing.assert_allclose(result.matrices["unfolded"], wanted, rtol=1e-11, atol=1e-13)
    assert result.matrices["unfolded"].dtype == np.float64, "as the run"


# Where what passes a layer by goes through a map of features, these have weights of their own.
PLAIN = [name for name in WEIGHTED if "dynamic" not in name and FAMILIES[name].pass_reference is None]


@pytest.mark.parametrize("name", PLAIN)
def test_weights_are_derivatives_of_inputs_by_outputs_with_the_branches_cut(name: str) -> None:
    """d u_k / d y_j through `read` and `write` alone: every feature of every sample carries the same weight."""
    stack = shake(build_stack(build_spec(depth=5, connection=CONNECTIONS[name])))
    connection, static = stack.connection, stack.connection.static_mixing()
    assert static is not None
    x = torch.zeros(12, 8, dtype=torch.float64, requires_grad=True)
    sources, found = [x], np.zeros((5, 6))
    state = connection.expand(x)
    for layer in range(5):
        mixing = Mixing(*(part[layer] for part in static))
        u = connection.read(state, mixing)
        grads = torch.autograd.grad(u[3, 2], sources, retain_graph=True, allow_unused=True)
        for j, grad in enumerate(grads):
            if grad is not None:
                found[layer, j] = grad[3, 2].item()
                assert grad.abs().sum() == grad[3, 2].abs()
        sources.append(torch.zeros(12, 8, dtype=torch.float64, requires_grad=True))
        state = connection.write(state, sources[-1], mixing)
    numbers = (part.detach().numpy() for part in static)
    np.testing.assert_allclose(unfold(*numbers), found, rtol=1e-12, atol=1e-14)


def test_a_deep_stack_unfolds_in_a_moment() -> None:
    mixing = draw(1024, 4, 0.3)
    start = time.process_time()
    unfold(*mixing)
    assert time.process_time() - start < 1.0


@pytest.mark.full
def test_weights_beyond_float32_have_a_status_and_no_value() -> None:
    result = measure(build_spec(depth=400, width=8, dtype="float32", connection={"kind": "hc", "noise": 1.0}))
    weights, flags = result.matrices["unfolded"], result.status["unfolded"]
    lost = np.isnan(weights).any(1)
    assert set(np.flatnonzero(lost)) == set(flags)
    assert set(flags.values()) == {"overflow"}
    assert not lost[:20].any()
    mixing = [result.matrices[key] for key in ("h_pre", "h_post", "h_res")]
    exact = unfold(*mixing)
    known = ~np.isnan(weights)
    np.testing.assert_allclose(weights[known], exact[known], rtol=1e-6, atol=1e-37)
    assert (np.abs(exact[~known]) > np.finfo(np.float32).max).all()


@pytest.mark.full
def test_a_float64_run_keeps_what_float64_holds() -> None:
    """The same stack as above: what float32 lost is there, and nothing is said to have overflowed."""
    connection = {"kind": "hc", "noise": 1.0}
    result = measure(build_spec(depth=400, width=8, connection=connection))
    exact = unfold(*(result.matrices[key] for key in ("h_pre", "h_post", "h_res")))
    assert np.finfo(np.float32).max < np.abs(exact).max() < np.inf
    np.testing.assert_array_equal(result.matrices["unfolded"], exact)
    assert "unfolded" not in result.status


@pytest.mark.full
def test_weights_beyond_float64_and_back_are_known() -> None:
    """Scales are kept apart: a source that grew to 1e400 and shrank again is read as what it is."""
    h_pre, h_post, h_res = np.ones((12, 2)), np.ones((12, 2)), np.tile(1e100 * np.eye(2), (12, 1, 1))
    h_res[4:8] = 1e-100 * np.eye(2)
    assert unfold(h_pre, h_post, h_res)[8, 0] == pytest.approx(2.0, rel=1e-12)


@pytest.mark.parametrize(("first", "last"), [(0, 0), (0, 9), (3, 7), (9, 9)])
def test_a_composite_of_an_interval(first: int, last: int) -> None:
    _, _, h_res = draw(10, 3)
    scaled, exponent = composite(h_res, first, last)
    assert 0.5 <= np.abs(scaled).max() < 1
    np.testing.assert_allclose(np.ldexp(scaled, exponent), measures.product(h_res, first, last), rtol=1e-12)


def test_products_of_tokens_agree_with_those_of_means_where_all_tokens_mix_alike() -> None:
    """HC starts with W = 0: the coefficients are dynamic in name only."""
    result = measure(build_spec(depth=30, connection={"kind": "hc", "noise": 0.5, "dynamic": True}))
    for key in ("composite_gain_fwd", "composite_gain_bwd"):
        np.testing.assert_allclose(result.layers[f"{key}_tokens"], result.layers[key], rtol=1e-12)


@pytest.mark.parametrize("downwards", [False, True])
@pytest.mark.parametrize(("loud", "quiet"), [(1e30, 1e30), (1e30, 1e-30), (1e-30, 1e-90), (1e30, 0.0)])
def test_products_of_tokens_beyond_float64(loud: float, quiet: float, downwards: bool) -> None:
    """In each of 40 layers the first sample's matrix is multiplied by `loud`, the others' by `quiet`."""
    samples = np.random.default_rng(0).standard_normal((40, 5, 3, 3))
    order = samples[::-1] if downwards else samples
    products = TokenProducts(downwards=downwards, together=24)
    scale = torch.tensor([loud, quiet, quiet, quiet, quiet], dtype=torch.float64)[:, None, None]
    for block in (slice(0, 1), slice(1, 25), slice(25, 40)):
        products.add([scale * torch.from_numpy(matrices.copy()) for matrices in order[block]])
    key = "composite_gain_bwd_token" if downwards else "composite_gain_fwd_token"
    gains = to_gains(fetch(products.columns()))
    assert gains.keys() == {f"{key}{ending}" for ending in ("s", "_min", "_median", "_mean", "_max")}
    _, log10 = gains[f"{key}s"]
    counted = 5 if quiet == loud else 1
    for layer in range(0, 40, 3):
        interval = (layer, 39) if downwards else (0, layer)
        total = np.sum([measures.product(samples[:, sample], *interval) for sample in range(counted)], axis=0) / 5
        gain = measures.amax_backward(total) if downwards else measures.amax_forward(total)
        depth = interval[1] - interval[0] + 1
        if quiet and quiet < loud and depth == 1:
            continue  # the quiet ones still count
        assert log10[layer] == pytest.approx(np.log10(gain) + depth * np.log10(loud), abs=1e-10)
    measure_gain = measures.amax_backward if downwards else measures.amax_forward
    own = sorted(
        np.log10(measure_gain(measures.product(samples[:, sample], 0, 39))) + 40 * np.log10(size) if size else -np.inf
        for sample, size in enumerate([loud, quiet, quiet, quiet, quiet])
    )
    whole = 0 if downwards else 39
    mean = own[4] + np.log10(np.mean([10 ** (gain - own[4]) for gain in own]))
    for ending, wanted in (("_min", own[0]), ("_median", own[2]), ("_mean", mean), ("_max", own[4])):
        assert gains[f"{key}{ending}"][1][whole] == pytest.approx(wanted, abs=1e-10), ending
