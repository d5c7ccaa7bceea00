"""A column as one number, against the columns of real runs and hand-made ones."""

import numpy as np
import pytest

from mhc_core.measure.run import run
from mhc_core.metrics import METRICS
from mhc_core.record.reduction import ABSENT, REDUCTIONS, ReducedNumber, Reduction, reduce_metric
from mhc_core.record.result import Result
from mhc_core.spec import parse_spec
from tests.core.conftest import require

SMALL = {"depth": 6, "width": 8, "block": {"heads": 2}, "input": {"tokens": 8}}


def build_result(**spec: object) -> Result:
    result = Result()
    for frame in run(parse_spec(SMALL | spec)):
        result.add(frame)
    return result


@pytest.fixture(scope="module")
def hc() -> Result:
    return build_result(connection={"kind": "hc"}, jacobian=8)


def test_every_metric_can_be_asked_for_in_every_way(hc: Result) -> None:
    trained = build_result(train={"steps": 2})
    for result in (hc, trained):
        for key in METRICS:
            for reduction in REDUCTIONS:
                found = reduce_metric(result, key, reduction)
                assert (found.value is None) == (found.status != "finite"), key


def test_a_column_over_layers(hc: Result) -> None:
    gain = hc.layers["composite_gain_fwd"]
    wanted: dict[Reduction, float] = {"max": gain.max(), "min": gain.min(), "first": gain[0], "last": gain[-1]}
    for reduction, value in wanted.items():
        assert reduce_metric(hc, "composite_gain_fwd", reduction).value == value
    middle = reduce_metric(hc, "composite_gain_fwd", "median")
    assert middle.log10 == pytest.approx(np.median(np.log10(gain)), rel=1e-6)
    assert reduce_metric(hc, "effective_rank", "median").value == pytest.approx(np.median(hc.layers["effective_rank"]))


def test_of_a_column_over_streams_first_and_last_take_the_median_stream(hc: Result) -> None:
    sums = hc.layers["h_res_row_sum"]
    assert reduce_metric(hc, "h_res_row_sum", "max").value == sums.max()
    assert reduce_metric(hc, "h_res_row_sum", "last").value == pytest.approx(np.median(sums[-1]))


def test_what_is_like_itself_is_left_out(hc: Result) -> None:
    off = hc.matrices["cka"][~np.eye(6, dtype=bool)]
    assert reduce_metric(hc, "cka", "max").value == pytest.approx(off.max()) != 1
    off = hc.matrices["stream_cosines"][:, ~np.eye(4, dtype=bool)]
    assert reduce_metric(hc, "stream_cosines", "max").value == pytest.approx(off.max())


def test_other_tables(hc: Result) -> None:
    largest = float(require(hc.jacobian).values["jacobian_sigma_max"])
    assert reduce_metric(hc, "jacobian_sigma_max", "max").value == pytest.approx(largest)
    trained = build_result(train={"steps": 3})
    assert reduce_metric(trained, "step_loss", "last").value == trained.steps["step_loss"][-1]
    assert reduce_metric(hc, "step_loss", "last") == ABSENT


def build_column(values: list[float], log10: list[float], status: dict[int, str]) -> Result:
    result = Result()
    result.layers["act_rms"], result.layers_log10["act_rms"] = np.array(values), np.array(log10)
    if status:
        result.status["act_rms"] = status
    return result


NAN = float("nan")


@pytest.mark.parametrize(
    ("values", "log10", "status", "wanted"),
    [
        # Beyond the type but known by its logarithm.
        ([1.0, NAN], [0.0, 401.0], {1: "overflow"}, {"max": ReducedNumber(None, 401.0, "overflow"), "first": 1.0}),
        # Lost altogether: the largest is not known, the first and the least are.
        ([1.0, NAN], [0.0, NAN], {1: "overflow"}, {"max": "overflow", "median": "overflow", "min": 1.0, "first": 1.0}),
        ([1.0, NAN], [0.0, NAN], {1: "nan"}, {"max": "nan", "min": "nan", "last": "nan", "first": 1.0}),
        ([1.0, NAN], [0.0, NAN], {1: "underflow"}, {"max": 1.0, "min": "underflow", "median": "underflow"}),
        # A true zero has no logarithm and is a number.
        ([0.0, 10.0], [NAN, 1.0], {}, {"min": ReducedNumber(0.0, None, "finite"), "max": 10.0}),
        # No layer before the first.
        ([NAN, 2.0], [NAN, np.log10(2)], {}, {"max": 2.0, "median": 2.0, "first": "absent"}),
    ],
)
def test_what_left_its_range(
    values: list[float],
    log10: list[float],
    status: dict[int, str],
    wanted: dict[Reduction, ReducedNumber | float | str],
) -> None:
    result = build_column(values, log10, status)
    for reduction, expected in wanted.items():
        found = reduce_metric(result, "act_rms", reduction)
        if isinstance(expected, ReducedNumber):
            assert found == expected
        elif isinstance(expected, str):
            assert (found.value, found.status) == (None, expected), reduction
        else:
            assert found.value == pytest.approx(expected), reduction
