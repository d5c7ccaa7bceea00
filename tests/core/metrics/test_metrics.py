"""Metrics in frames against the same quantities from their definitions (measures.py), for states of real runs."""

from typing import Any

import numpy as np
import pytest
import torch

from mhc_core.measure.passes import measure as measure_pass
from mhc_core.metrics import METRICS
from mhc_core.record.result import Result
from mhc_core.record.start import CkaEstimator
from mhc_core.stack import build_stack
from tests.core import measures
from tests.core.conftest import MULTI_STREAM, PARTS, build_spec, measure, shake
from tests.core.counters import count_blocks
from tests.core.metrics.cases import LITTLE, NOISY, Case
from tests.core.reference import trace


def test_sizes_of_states(case: Case) -> None:
    _, result, wanted = case
    for layer, x in enumerate(wanted.states[1:]):
        assert result.layers["act_rms"][layer] == pytest.approx(measures.rms(wanted.merged[layer + 1]), rel=1e-11)
        np.testing.assert_allclose(result.layers["act_rms_streams"][layer], [measures.rms(s) for s in x], rtol=1e-11)
    assert result.input["act_rms"] == pytest.approx(measures.rms(wanted.merged[0]), rel=1e-12)
    np.testing.assert_allclose(result.input["act_rms_streams"], [measures.rms(s) for s in wanted.states[0]], rtol=1e-12)


@pytest.mark.sample(3)
def test_sizes_of_branches(case: Case) -> None:
    _, result, wanted = case
    for layer in range(4):
        assert result.layers["branch_in_rms"][layer] == pytest.approx(measures.rms(wanted.u[layer]), rel=1e-11)
        assert result.layers["branch_out_rms"][layer] == pytest.approx(measures.rms(wanted.y[layer]), rel=1e-11)


def test_similarity_to_the_layer_before(case: Case) -> None:
    _, result, wanted = case
    for key, level in (("cos_prev", 0.5), ("cos_prev_p05", 0.05), ("cos_prev_p95", 0.95)):
        assert np.isnan(result.layers[key][0])  # no layer before the first
        for layer in range(1, 4):
            cosines = measures.cosines(wanted.u[layer], wanted.u[layer - 1])
            assert result.layers[key][layer] == pytest.approx(measures.quantile(cosines, level), rel=1e-10)


@pytest.mark.sample(3)
def test_similarity_of_tokens_and_streams(case: Case) -> None:
    name, result, wanted = case
    for layer, x in enumerate(wanted.states[1:]):
        merged = wanted.merged[layer + 1]
        assert result.layers["token_cos"][layer] == pytest.approx(measures.token_cosine(merged), rel=1e-9)
        if name in MULTI_STREAM:
            assert result.layers["stream_cos"][layer] == pytest.approx(measures.stream_cosine(x), rel=1e-10)
            cosines = [[measures.cosines(one, other).mean() for other in x] for one in x]
            np.testing.assert_allclose(result.matrices["stream_cosines"][layer], cosines, rtol=1e-10)
    assert ("stream_cos" in result.layers) == (name in MULTI_STREAM)
    assert result.input["token_cos"] == pytest.approx(measures.token_cosine(wanted.merged[0]), rel=1e-10)


def test_effective_rank(case: Case) -> None:
    _, result, wanted = case
    for layer, m in enumerate(wanted.merged[1:]):
        assert result.layers["effective_rank"][layer] == pytest.approx(measures.effective_rank(m), rel=1e-6)


def test_cka_of_every_two_layers(case: Case) -> None:
    _, result, wanted = case
    merged = wanted.merged[1:]
    for one in range(4):
        for other in range(4):
            value = measures.unbiased_cka(merged[one], merged[other])
            assert result.matrices["cka"][one, other] == pytest.approx(value, rel=1e-9, abs=1e-11)


def test_mixing_coefficients(mixed_case: Case) -> None:
    name, result, wanted = mixed_case
    for layer in range(4):
        read = "h_read" if name in PARTS else "h_pre"
        for key, column in ((read, wanted.h_pre), ("h_post", wanted.h_post), ("h_res", wanted.h_res)):
            samples = column[layer]
            np.testing.assert_allclose(result.matrices[key][layer], samples.mean(0), rtol=1e-10, atol=1e-13)
            if "dynamic" in name:
                np.testing.assert_allclose(result.matrices[f"{key}_std"][layer], samples.std(0), rtol=1e-6, atol=1e-12)
        h_res = wanted.h_res[layer].mean(0)
        rows, columns = h_res.sum(1), h_res.sum(0)
        np.testing.assert_allclose(result.layers["h_res_row_sum"][layer], rows, rtol=1e-10, atol=1e-13)
        np.testing.assert_allclose(result.layers["h_res_col_sum"][layer], columns, rtol=1e-10, atol=1e-13)
        assert result.layers["ds_error"][layer] == pytest.approx(measures.deviation(h_res), rel=1e-9, abs=1e-14)
        assert result.layers["h_res_min"][layer] == pytest.approx(h_res.min(), rel=1e-10, abs=1e-14)
        if name in MULTI_STREAM:
            squares = np.linalg.eigvalsh(h_res.T @ h_res)
            assert result.layers["h_res_sigma2"][layer] ** 2 == pytest.approx(squares[-2], rel=1e-9, abs=1e-13)
            centre = np.eye(len(h_res)) - 1 / len(h_res)
            kept = np.linalg.norm(centre @ h_res @ centre, 2)
            assert result.layers["h_res_attenuation"][layer] == pytest.approx(kept, rel=1e-9, abs=1e-13)
            distance = np.linalg.norm(h_res - 1 / len(h_res), 2)
            assert result.layers["h_res_to_uniform"][layer] == pytest.approx(distance, rel=1e-9, abs=1e-9)
        if "dynamic" in name:
            worst = max(measures.deviation(sample) for sample in wanted.h_res[layer])
            assert result.layers["ds_error_tokens"][layer] == pytest.approx(worst, rel=1e-9, abs=1e-13)
        assert result.layers["gain_fwd"][layer] == pytest.approx(measures.amax_forward(h_res), rel=1e-10)
        assert result.layers["gain_bwd"][layer] == pytest.approx(measures.amax_backward(h_res), rel=1e-10)
    assert ("h_res_std" in result.matrices) == ("dynamic" in name) == ("ds_error_tokens" in result.layers)
    assert ("h_pre" in result.matrices) != (name in PARTS)


def test_composites(mixed_case: Case) -> None:
    name, result, wanted = mixed_case
    matrices = np.stack([h.mean(0) for h in wanted.h_res])
    for layer in range(4):
        up, down = measures.product(matrices, 0, layer), measures.product(matrices, layer, 3)
        expected = {
            "composite_gain_fwd": measures.amax_forward(up),
            "composite_gain_bwd": measures.amax_backward(down),
            "composite_norm_inf": np.linalg.norm(up, np.inf),
            "composite_norm_1": np.linalg.norm(down, 1),
            "composite_min_col_sum": down.sum(0).min(),
        }
        if name in MULTI_STREAM:
            n = len(up)
            apart = np.eye(n)
            centre = np.eye(n) - 1 / n
            for matrix in matrices[: layer + 1]:
                apart = centre @ matrix @ centre @ apart
            expected["composite_sigma2"] = np.linalg.norm(apart, 2)
            expected["composite_sigma_max"] = np.linalg.norm(up, 2)
        for key, value in expected.items():
            assert result.layers[key][layer] == pytest.approx(value, rel=1e-9, abs=1e-13), key
    assert ("composite_sigma2" in result.layers) == (name in MULTI_STREAM)


@pytest.mark.sample(3)
def test_composites_of_tokens_apart(case: Case) -> None:
    name, result, wanted = case
    assert ("composite_gain_fwd_tokens" in result.layers) == ("dynamic" in name)
    if "dynamic" not in name:
        return
    samples = np.stack(wanted.h_res).swapaxes(0, 1)
    for layer in range(4):
        up = np.mean([measures.product(matrices, 0, layer) for matrices in samples], axis=0)
        down = np.mean([measures.product(matrices, layer, 3) for matrices in samples], axis=0)
        for key, gain in (("fwd", measures.amax_forward(up)), ("bwd", measures.amax_backward(down))):
            assert result.layers[f"composite_gain_{key}_tokens"][layer] == pytest.approx(gain, rel=1e-10), key
        own = [
            [measures.amax_forward(measures.product(matrices, 0, layer)) for matrices in samples],
            [measures.amax_backward(measures.product(matrices, layer, 3)) for matrices in samples],
        ]
        for key, gains in zip(("fwd", "bwd"), own, strict=True):
            spread = {
                "min": min(gains),
                "max": max(gains),
                "median": 10 ** np.median(np.log10(gains)),
                "mean": sum(gains) / len(gains),
            }
            for name, value in spread.items():
                found = result.layers[f"composite_gain_{key}_token_{name}"][layer]
                assert found == pytest.approx(value, rel=1e-10), (key, name)


@pytest.mark.full
def test_the_mean_of_the_tokens_own_gains_exceeds_the_gain_of_averaged_matrices_by_decades() -> None:
    spec = build_spec(
        {"device": "cpu", "depth": 64, "width": 256}, connection={"kind": "hc", "dynamic": True}, **LITTLE
    )
    stack, result = shake(build_stack(spec)), Result(spec.depth)
    for frame in measure_pass(stack, torch.device("cpu"), with_cka=False):
        result.add(frame)
    largest = {key: column[-1] for key, column in result.layers_log10.items() if key.startswith("composite_gain_fwd")}
    assert largest["composite_gain_fwd_token_mean"] > largest["composite_gain_fwd"] + 2
    assert largest["composite_gain_fwd_token_mean"] > largest["composite_gain_fwd_token_median"] + 1
    assert largest["composite_gain_fwd_token_mean"] > largest["composite_gain_fwd_token_max"] - np.log10(32) - 1e-9


def test_the_last_forward_product_is_the_first_backward_one(mixed_case: Case) -> None:
    _, result, wanted = mixed_case
    whole = measures.product(np.stack([h.mean(0) for h in wanted.h_res]), 0, 3)
    assert result.layers["composite_gain_fwd"][-1] == pytest.approx(measures.amax_forward(whole), rel=1e-9)
    assert result.layers["composite_gain_bwd"][0] == pytest.approx(measures.amax_backward(whole), rel=1e-9)


@pytest.mark.parametrize("init", ["mhc_lite", "lucidrains", "megatron"])
def test_sigma2_is_the_second_singular_value_of_a_doubly_stochastic_product(init: str) -> None:
    connection = {"init": init, "noise": 1.0, "sinkhorn_iters": 200}
    result = measure(build_spec(depth=12, connection=connection))
    matrices = result.matrices["h_res"]
    assert result.layers["ds_error"].max() < 5e-3
    bound = np.cumprod(np.linalg.svd(matrices, compute_uv=False)[:, 1])
    for layer in range(12):
        total = measures.product(matrices, 0, layer)
        sigma2 = result.layers["composite_sigma2"][layer]
        slack = 2 * result.layers["ds_error"].sum()
        assert abs(sigma2 - np.linalg.svd(total, compute_uv=False)[1]) <= slack
        assert abs(sigma2 - np.linalg.norm(total - 1 / 4, 2)) <= slack
        assert sigma2 <= bound[layer] + slack


def test_gains_of_nonnegative_matrices_are_their_operator_norms() -> None:
    result = measure(build_spec(connection={"noise": 2.0, "sinkhorn_iters": 3, "init": "lucidrains"}))
    np.testing.assert_allclose(result.layers["composite_gain_fwd"], result.layers["composite_norm_inf"], rtol=1e-14)
    np.testing.assert_allclose(result.layers["composite_gain_bwd"], result.layers["composite_norm_1"], rtol=1e-14)
    hc = measure(build_spec(connection={"kind": "hc", "noise": 2.0}))
    assert (hc.layers["composite_norm_inf"][1:] > hc.layers["composite_gain_fwd"][1:]).all()


def test_log10_stands_beside_every_metric_that_spans_decades(case: Case) -> None:
    _, result, _ = case
    for key, metric in METRICS.items():
        if metric.table != "layers" or key not in result.layers:
            continue
        assert (key in result.layers_log10) == (metric.scale == "log"), key
        if metric.scale == "log":
            value, log10 = result.layers[key], result.layers_log10[key]
            positive = value > 0
            np.testing.assert_allclose(log10[positive], np.log10(value[positive]), rtol=1e-12, atol=1e-12)
            assert np.isnan(log10[~positive]).all()
    # Without a signal there is nothing that could reach the logits: at the first layer streams are still
    # identical, and the last one's differences do not reach the loss.
    assert result.status.keys() <= {"mixing_grad_share"}
    assert result.status.get("mixing_grad_share", {}).keys() <= {0, 3}


@pytest.mark.full
def test_every_column_is_in_the_catalogue_and_every_metric_in_some_result() -> None:
    seen: set[str] = set()
    learned = {"block": {"kind": "transformer", "value_residual": "learned"}}
    for fields in (*({"connection": connection} for connection in NOISY.values()), learned):
        edits = [{"layers": [1, 1], "what": "branch", "do": "zero"}]
        spec = build_spec(train={"steps": 3, "kept": 2}, edits=edits, **fields)
        result = measure(spec)
        for table in ("layers", "matrices", "steps", "kept"):
            columns = getattr(result, table)
            assert all(METRICS[key].table == table for key in columns)
            seen |= set(columns)
            for key, column in columns.items():
                sizes = {"L": 4, "n": result.streams, "C": spec.width, "J": 5, "S": 3, "K": 2}
                assert column.shape == tuple(sizes[axis] for axis in METRICS[key].shape), key
    elsewhere = {key for key, metric in METRICS.items() if metric.table == "jacobian"}  # see test_jacobian.py
    assert seen == set(METRICS) - elsewhere


def test_subsamples_beyond_256_tokens_are_spread_over_all() -> None:
    """CKA and effective rank see at most 256 samples, evenly spaced; the other metrics see all."""
    spec = build_spec(depth=2, width=4, input={"kind": "gaussian", "batch": 5, "tokens": 100}, block={"kind": "mlp"})
    result, found = measure(spec), trace(build_stack(spec))
    m = [merged.reshape(500, 4) for merged in found.merged[1:]]
    kept = np.round(np.linspace(0, 499, 256)).astype(int)
    assert result.matrices["cka"][0, 1] == pytest.approx(measures.unbiased_cka(m[0][kept], m[1][kept]), rel=1e-9)
    assert result.layers["effective_rank"][1] == pytest.approx(measures.effective_rank(m[1][kept]), rel=1e-6)
    assert result.layers["act_rms"][1] == pytest.approx(measures.rms(m[1]), rel=1e-12)


def test_unbiased_cka_of_unrelated_features_is_near_zero_where_the_biased_one_is_not() -> None:
    generator = np.random.default_rng(0)
    a, b = generator.standard_normal((2, 64, 256))
    assert abs(measures.unbiased_cka(a, b)) < 0.1
    k, q = (x - x.mean(0) for x in (a, b))
    biased = np.linalg.norm(k.T @ q) ** 2 / (np.linalg.norm(k.T @ k) * np.linalg.norm(q.T @ q))
    assert biased == pytest.approx(0.802, abs=0.02)


def test_biased_cka_on_request_and_over_how_many_samples() -> None:
    fields: dict[str, Any] = {
        "depth": 2,
        "width": 4,
        "input": {"kind": "gaussian", "batch": 5, "tokens": 100},
        "block": {"kind": "mlp"},
    }
    spec = build_spec(**fields, cka="biased")
    result, found = measure(spec), trace(build_stack(spec))
    kept = np.round(np.linspace(0, 499, 256)).astype(int)
    k, q = (merged.reshape(500, 4)[kept] for merged in found.merged[1:])
    k, q = k - k.mean(0), q - q.mean(0)
    biased = np.linalg.norm(k.T @ q) ** 2 / (np.linalg.norm(k.T @ k) * np.linalg.norm(q.T @ q))
    assert result.matrices["cka"][0, 1] == pytest.approx(biased, rel=1e-9)
    assert result.cka_estimator == CkaEstimator(estimator="biased", samples=256)
    assert build_spec(**fields).id == build_spec(**fields, cka="unbiased").id != spec.id


@pytest.mark.parametrize(("depth", "blocks"), [(2, [1, 1]), (16, [1, 2, 4, 9]), (17, [1, 2, 4, 8, 2])])
def test_a_last_layer_that_is_left_over_joins_the_block_before_it(
    depth: int, blocks: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes = count_blocks(monkeypatch)
    spec = build_spec(depth=depth, connection={"kind": "residual"})
    list(measure_pass(build_stack(spec), torch.device("cpu")))
    assert sizes == blocks
