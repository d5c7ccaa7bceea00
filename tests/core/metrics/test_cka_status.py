"""Where CKA has no value the row says why: lost in overflow, the same for all samples, or not a number."""

import json
import math
from typing import Any

import numpy as np
import pytest
import torch

from mhc_core.measure.run import run
from mhc_core.metrics.similarity import FAULTS, SAME_ULPS, CkaRows
from mhc_core.record.codec import decode_line, encode_frame
from mhc_core.record.frames import SimilarityFrame
from mhc_core.record.reduction import reduce_metric
from mhc_core.record.result import Result
from mhc_core.spec import RunSpec
from tests.core import measures
from tests.core.conftest import CONNECTIONS, build_spec, collect, measure, run_frames

LONG_A: dict[str, Any] = {"text": "a" * 40}
OVERFLOW = build_spec(depth=90, dtype="float32", connection={"kind": "hc", "noise": 10.0})
ZERO = build_spec(connection={"kind": "none"}, block={"norm_position": "none", "branch_scale": 0.0})


def rows_of(spec: RunSpec) -> list[SimilarityFrame]:
    return [frame for frame in run_frames(spec) if isinstance(frame, SimilarityFrame)]


@pytest.mark.sample(8, "values")
@pytest.mark.parametrize("dtype", ["float32", "float64", "bfloat16"])
@pytest.mark.parametrize("name", CONNECTIONS)
def test_a_text_of_one_letter_is_constant_and_not_noise(name: str, dtype: str) -> None:
    """All tokens are the same; what rounding makes of them on their way is no similarity."""
    for row in rows_of(build_spec(depth=12, dtype=dtype, connection=CONNECTIONS[name], input=LONG_A)):
        assert row.status == {"cka": "constant"}
        assert np.isnan(row.cka).all()


def test_zeros_are_constant() -> None:
    result = measure(ZERO)
    assert result.status["cka"] == dict.fromkeys(range(4), "constant")
    assert np.isnan(result.matrices["cka"]).all()


def test_overflow_is_told_from_the_layer_on_at_which_the_state_is_lost() -> None:
    result = measure(OVERFLOW)
    status = result.status["cka"]
    assert status.keys() == result.status["act_rms"].keys()
    assert set(status.values()) == {"overflow", "nan"}
    first = min(status)
    assert status[first] == result.status["act_rms_streams"][first] == "overflow"
    assert result.status["act_rms"][first] == "nan", "or nothing here tells the two apart"
    kept = np.array([layer not in status for layer in range(90)])
    assert 0 < kept.sum() < 90
    assert np.isfinite(result.matrices["cka"][np.ix_(kept, kept)]).all()
    assert np.isnan(result.matrices["cka"][~kept]).all()


@pytest.mark.parametrize("spec", [ZERO, OVERFLOW, build_spec(), build_spec(input=LONG_A)], ids=lambda spec: spec.id)
def test_an_entry_is_null_exactly_where_its_own_layer_or_the_other_has_a_status(spec: RunSpec) -> None:
    flagged = [bool(row.status) for row in rows_of(spec)]
    for layer, row in enumerate(rows_of(spec)):
        assert row.layer == layer
        wanted = [flagged[layer] or flagged[other] for other in range(layer + 1)]
        assert np.isnan(row.cka).tolist() == wanted


def by_rows(x: torch.Tensor, block: int = 2) -> tuple[np.ndarray, list[str | None]]:
    """The whole matrix and every layer's status, layers taken in blocks."""
    rows = CkaRows(len(x), x.shape[1], x.device, x.dtype)
    found = np.full((len(x), len(x)), math.nan)
    for start in range(0, len(x), block):
        new = rows.add(x[start : start + block]).double().numpy()
        found[start : start + len(new), : new.shape[1]] = new
        found[: new.shape[1], start : start + len(new)] = new.T
    return found, [FAULTS[int(fault)] for fault in rows.faults_L]


def draw(*shape: int, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64).to(dtype)


def test_each_layer_has_its_own_status_and_harms_no_other() -> None:
    x = draw(6, 16, 5)
    plain, _ = by_rows(x.clone())
    x[1] = x[1, :1]
    x[2, 3, 2] = math.inf
    x[3, 0, 0] = math.nan
    x[5] = 0.0
    found, status = by_rows(x)
    assert status == [None, "constant", "overflow", "nan", None, "constant"]
    whole = np.array([flag is None for flag in status])
    np.testing.assert_allclose(found[np.ix_(whole, whole)], plain[np.ix_(whole, whole)], rtol=1e-6)
    assert np.isnan(found[~whole]).all()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_samples_are_the_same_up_to_rounding_and_no_further(dtype: torch.dtype) -> None:
    noise, eps = draw(2, 16, 5, dtype=dtype), torch.finfo(dtype).eps
    noise = noise / noise.abs().max()
    level = draw(2, 1, 5, dtype=dtype)
    level = level / level.abs().amax(2, keepdim=True)
    _, status = by_rows(level + 0.25 * SAME_ULPS * eps * noise)
    assert status == ["constant", "constant"]
    _, status = by_rows(level + 4 * SAME_ULPS * eps * noise)
    assert status == [None, None]


def test_equidistant_samples_have_no_unbiased_cka() -> None:
    """Their U-centred Gram matrix is zero though they differ: 0 / 0, but not constant."""
    one_apart = torch.zeros(1, 8, 8, dtype=torch.float64)
    one_apart[0, 5] = draw(8, dtype=torch.float64)
    x = torch.cat([torch.eye(8, dtype=torch.float64)[None], one_apart, draw(1, 8, 8, dtype=torch.float64)])
    for dtype in (torch.float64, torch.float32):
        found, status = by_rows(x.to(dtype))
        assert status == ["nan", "nan", None]
        assert np.isnan(found[:2]).all()


def test_features_near_the_largest_float_have_cka() -> None:
    """A sum over samples would overflow where no feature does."""
    x = draw(3, 16, 5)
    found, status = by_rows((3e38 / x.abs().max()) * x)
    assert status == [None] * 3
    for one in range(3):
        for other in range(3):
            wanted = measures.unbiased_cka(x[one].double().numpy(), x[other].double().numpy())
            assert found[one, other] == pytest.approx(wanted, abs=1e-5)


@pytest.mark.parametrize("spec", [ZERO, OVERFLOW], ids=["zero", "overflow"])
def test_the_status_comes_back_from_lines(spec: RunSpec) -> None:
    there = Result()
    for index, frame in enumerate(run_frames(spec)):
        there.add(decode_line(encode_frame(frame, "id", index)))
    assert there.status["cka"] == measure(spec).status["cka"]


def test_rows_of_numerics_1_have_no_status_and_open_still() -> None:
    result = Result()
    for index, frame in enumerate(run(ZERO)):
        old = json.loads(encode_frame(frame, "id", index))
        if old["type"] == "similarity":
            del old["status"]
        result.add(decode_line(json.dumps(old).encode()))
    assert "cka" not in result.status
    assert np.isnan(result.matrices["cka"]).all()


def test_a_map_over_runs_says_why_it_has_no_number() -> None:
    assert reduce_metric(measure(ZERO), "cka", "median").status == "constant"
    assert reduce_metric(measure(OVERFLOW), "cka", "last").status in ("overflow", "nan")
    assert reduce_metric(measure(OVERFLOW), "cka", "first").status == "finite"


@pytest.mark.full
def test_the_trained_stack_says_it_anew() -> None:
    frames = run_frames(build_spec(input=LONG_A, train={"steps": 1}))
    assert collect(list(frames)).status["cka"] == dict.fromkeys(range(4), "constant")
