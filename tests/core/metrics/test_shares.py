"""Shares of streams against their definitions, in plain loops over streams and tokens."""

import math
from typing import Any

import numpy as np
import pytest

from mhc_core.metrics.shares import measure_shares, to_shares
from mhc_core.record.result import Result
from tests.core import measures
from tests.core.conftest import MULTI_STREAM, build_spec, measure
from tests.core.metrics.cases import Case, trace_spec
from tests.core.reference import Array, Trace

KINDS = ("act", "read", "write")
NORMED: dict[str, dict[str, Any]] = {
    "post": {"connection": {"kind": "hc", "dynamic": True}, "block": {"norm_position": "post"}},
    "deepnorm": {"connection": {"init": "mhc_lite"}, "block": {"norm_position": "post", "scaling": "deepnorm"}},
    "frac, deepnorm": {"connection": {"kind": "frac"}, "block": {"norm_position": "post", "scaling": "deepnorm"}},
}


def share_of(sizes: list[float]) -> list[float]:
    return [size / sum(sizes) for size in sizes]


def entropy_of(shares: list[float]) -> float:
    """In nats."""
    return -sum(share * math.log(share) for share in shares if share > 0)


def expected_shares(wanted: Trace, layer: int) -> dict[str, list[float]]:
    n = len(wanted.states[0])
    pre, post = (column[layer].mean(0) for column in (wanted.h_pre, wanted.h_post))
    reads = [abs(pre[i]) if pre.ndim == 1 else sum(abs(pre[k, i]) for k in range(n)) for i in range(n)]
    return {
        "act": share_of([measures.rms(stream) ** 2 for stream in wanted.states[layer + 1]]),
        "read": share_of(reads),
        "write": share_of([abs(weight) for weight in post]),
    }


def branch_shares(before: Array, y: Array, post: Array, res: Array, skip: float) -> list[float]:
    """Token by token and entry by entry."""
    n, samples, width = before.shape
    found = []
    for i in range(n):
        written = passed = 0.0
        for t in range(samples):
            own = y[t] if y.shape[1] == width else y[t, i * width : (i + 1) * width]
            mixed = sum(res[t, i, j] * before[j, t] for j in range(n))
            written += float(((post[t, i] * own) ** 2).sum())
            passed += float(((skip * mixed) ** 2).sum())
        found.append(written / (written + passed))
    return found


def check_branch_shares(result: Result, wanted: Trace, skip: float = 1.0) -> None:
    for layer in range(4):
        coefficients = wanted.h_post[layer], wanted.h_res[layer]
        expected = branch_shares(wanted.states[layer], wanted.y[layer], *coefficients, skip)
        np.testing.assert_allclose(result.layers["branch_share"][layer], expected, rtol=1e-11)


def test_shares_of_streams(case: Case) -> None:
    name, result, wanted = case
    for kind in KINDS:
        assert (f"{kind}_share_max" in result.layers) == (name in MULTI_STREAM)
    if name not in MULTI_STREAM:
        return
    for layer in range(4):
        for kind, shares in expected_shares(wanted, layer).items():
            assert result.layers[f"{kind}_share_max"][layer] == pytest.approx(max(shares), rel=1e-11), kind
            evenness = entropy_of(shares) / math.log(len(shares))
            assert result.layers[f"{kind}_share_entropy"][layer] == pytest.approx(evenness, rel=1e-10, abs=1e-12), kind


def test_the_branchs_share_of_each_stream(mixed_case: Case) -> None:
    _, result, wanted = mixed_case
    check_branch_shares(result, wanted)


@pytest.mark.parametrize("name", NORMED)
def test_the_branchs_share_is_that_before_a_norm_and_beside_an_enlarged_skip(name: str) -> None:
    spec = build_spec(**NORMED[name])
    skip = 4**0.25 if "deepnorm" in name else 1.0  # depth 4
    check_branch_shares(measure(spec), trace_spec(spec), skip)


def test_the_branchs_share_crosses_blocks_of_layers() -> None:
    """Layers are measured in blocks of 1, 2, 4, 8 and 16: each block takes the state that the one before left."""
    spec = build_spec(depth=20, connection={"kind": "hc", "noise": 0.6})
    result, wanted = measure(spec), trace_spec(spec)
    for layer in range(20):
        coefficients = wanted.h_post[layer], wanted.h_res[layer]
        expected = branch_shares(wanted.states[layer], wanted.y[layer], *coefficients, 1.0)
        np.testing.assert_allclose(result.layers["branch_share"][layer], expected, rtol=1e-10)


def test_the_even_case_and_the_extreme_one() -> None:
    even = measure(build_spec(connection={"noise": 0.0}))
    for kind in KINDS:
        np.testing.assert_allclose(even.layers[f"{kind}_share_max"], 0.25, rtol=1e-9)
        np.testing.assert_allclose(even.layers[f"{kind}_share_entropy"], 1.0, rtol=1e-9)
        assert even.layers[f"{kind}_share_entropy"].max() <= 1
    alone = measure(build_spec(connection={"kind": "hc", "noise": 0.0}))  # each layer reads one stream
    np.testing.assert_array_equal(alone.layers["read_share_max"], 1.0)
    np.testing.assert_array_equal(alone.layers["read_share_entropy"], 0.0)
    assert not np.signbit(alone.layers["read_share_entropy"]).any()


def test_what_has_no_share_says_why() -> None:
    lost = measure(build_spec(depth=120, dtype="float32", connection={"kind": "hc", "noise": 3.0}))
    gone = set(lost.status["act_rms"])
    assert gone
    for key in ("act_share_max", "act_share_entropy", "branch_share"):
        assert gone >= set(lost.status[key]) - {min(gone) - 1}, key
        assert set(lost.status[key].values()) <= {"overflow", "nan"}
        assert lost.status[key][min(lost.status[key])] == "overflow", key
    assert "read_share_max" not in lost.status  # coefficients of static mixing are known at any size
    silent = measure(build_spec(connection={"kind": "none"}, block={"norm_position": "none", "branch_scale": 0.0}))
    assert silent.status["branch_share"] == dict.fromkeys(range(4), "nan")


def test_squares_beyond_float64_have_shares() -> None:
    np.testing.assert_allclose(to_shares(np.array([[3e200, 4e200]]), power=2), [[0.36, 0.64]], rtol=1e-15)
    np.testing.assert_array_equal(to_shares(np.array([[0.0, 0.0], [np.inf, 1.0]])), [[np.nan] * 2, [np.inf] * 2])


def test_a_read_matrix_has_what_is_read_in_rows_and_parts_in_columns() -> None:
    h_read = np.array([[[3.0, 0.0], [-4.0, 1.0]]])  # |3| + |-4| of part 0, 0 + 1 of part 1
    found = measure_shares({"h_read": h_read, "h_post": np.ones((1, 2)), "act_rms_streams": np.ones((1, 2))})
    assert found["read_share_max"][0] == pytest.approx(7 / 8)
    assert found["read_share_entropy"][0] == pytest.approx(entropy_of([7 / 8, 1 / 8]) / math.log(2))
