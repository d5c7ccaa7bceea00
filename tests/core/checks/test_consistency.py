"""Checks of a record alone: they hold for what this program measures, and each finds its planted faults."""

from collections.abc import Callable
from copy import deepcopy
from typing import Any

import numpy as np
import pytest

from mhc_core.checks.consistency import DETECTS, check_record
from mhc_core.families import FAMILIES
from mhc_core.record.result import Result
from tests.core.conftest import CONNECTIONS, build_spec, run_frames
from tests.records import anonymise
from tests.traced import read_trace

EXTREMES: dict[str, dict[str, Any]] = {
    "overflow": {"dtype": "float32", "depth": 200, "connection": {"kind": "hc", "noise": 5.0}},
    "underflow": {"dtype": "float32", "depth": 60, "connection": {"kind": "none"}, "block": {"branch_scale": 0.001}},
    "bfloat16": {"dtype": "bfloat16", "depth": 30, "connection": {"kind": "residual"}},
    "bfloat16 streams": {"dtype": "bfloat16", "depth": 30},
    "one layer": {"depth": 1},
    "post-norm": {"depth": 12, "connection": {"kind": "hc"}, "block": {"norm_position": "post"}},
}


def capture() -> Result:
    """A trace of a tiny DeepSeek-V4, fresh: a test may change it."""
    result = Result()
    for frame in deepcopy(read_trace().result.frames):  # faults are planted in it, and others read the same trace
        result.add(frame)
    return result


def capture_residual() -> Result:
    """One stream, whose layers add to it."""
    return measure({"connection": {"kind": "residual"}, "block": {"branch_scale": 0.01}})


def measure(fields: dict[str, Any]) -> Result:
    """The record of a run as that of a model no one knows."""
    result = Result()
    for frame in anonymise(run_frames(build_spec(**fields))):
        result.add(frame)
    return result


def find_failures(result: Result) -> set[tuple[str, str]]:
    return {(check.name, check.metric) for check in check_record(result) if check.verdict == "fails"}


@pytest.mark.sample(4)
@pytest.mark.parametrize("name", CONNECTIONS)
def test_no_connection_is_accused(name: str) -> None:
    result = measure({"connection": CONNECTIONS[name]})
    # Of a model that no one knows the size is that of the mean over streams; of this connection it is the state's.
    is_state = FAMILIES[CONNECTIONS[name]["kind"]].streams == "source"
    assert find_failures(result) == ({("merged_norm", "act_rms")} if is_state else set())
    assert any(check.verdict == "holds" for check in check_record(result))


@pytest.mark.parametrize("name", EXTREMES)
def test_no_extreme_is_accused(name: str) -> None:
    assert find_failures(measure(EXTREMES[name])) == set()


def test_a_foreign_implementation_is_not_accused() -> None:
    checks = check_record(capture())
    assert {check.verdict for check in checks} == {"holds"}
    assert {check.name for check in checks} == DETECTS.keys() - {"skip_step"}, "which is for one stream"
    assert {check.name for check in check_record(capture_residual()) if check.verdict == "holds"} >= {"skip_step"}


def swap_layers(result: Result) -> None:
    result.matrices["h_res"][[1, 4]] = result.matrices["h_res"][[4, 1]]


def transpose(result: Result) -> None:
    result.matrices["h_res"][:] = result.matrices["h_res"].transpose(0, 2, 1).copy()


def change_gain(result: Result) -> None:
    result.layers_log10["composite_gain_bwd"][3] += 0.001


def change_matrix(result: Result) -> None:
    result.matrices["h_res"][2, 0, 1] += 0.01


def change_error(result: Result) -> None:
    result.layers["ds_error"][2] *= 2


def change_value(result: Result) -> None:
    result.layers["grad_rms"][0] *= 1.01


def change_stream(result: Result) -> None:
    result.layers["act_rms_streams"][1, 2] *= 1.1


def change_share(result: Result) -> None:
    result.layers["write_share_max"][5] += 0.01


def enlarge_mean(result: Result) -> None:
    result.layers["act_rms"][3] *= 1.5


def enlarge_cosine(result: Result) -> None:
    result.layers["cos_prev"][2] = 1.01


def lose_itself(result: Result) -> None:
    result.matrices["cka"][3, 3] = 0.9


def negate_share(result: Result) -> None:
    result.layers["branch_share"][0, 0] = -0.1


FAULTS: list[tuple[Callable[[Result], None], str, str]] = [
    (swap_layers, "products", "composite_gain_bwd"),
    (transpose, "products", "composite_gain_fwd"),
    (transpose, "matrix_sums", "h_res_row_sum"),
    (change_gain, "products", "composite_gain_bwd"),
    (change_matrix, "matrix_sums", "h_res_col_sum"),
    (change_matrix, "products", "composite_gain_fwd"),
    (change_error, "matrix_sums", "ds_error"),
    (change_value, "logarithms", "grad_rms"),
    (change_stream, "stream_shares", "act_share_max"),
    (change_share, "stream_shares", "write_share_max"),
    (enlarge_mean, "merged_norm", "act_rms"),
    (enlarge_cosine, "ranges", "cos_prev"),
    (lose_itself, "ranges", "cka"),
    (negate_share, "ranges", "branch_share"),
]


@pytest.mark.parametrize(("plant", "law", "metric"), FAULTS)
def test_a_planted_fault_is_found(plant: Callable[[Result], None], law: str, metric: str) -> None:
    result = capture()
    plant(result)
    assert (law, metric) in find_failures(result)


@pytest.mark.parametrize("factor", [0.5, 2.0])
def test_a_state_that_moves_more_than_its_branch_is_found(factor: float) -> None:
    result = capture_residual()
    result.layers["act_rms"][2:] *= factor
    assert ("skip_step", "act_rms") in find_failures(result)


def test_what_a_record_lacks_is_not_asked() -> None:
    result = capture()
    for table in (result.layers, result.layers_log10, result.matrices):
        table.clear()
    assert check_record(result) == []


def test_what_has_no_number_is_skipped() -> None:
    result = capture()
    result.matrices["h_res"][:] = np.nan
    found = {check.metric: check.verdict for check in check_record(result) if check.name in ("products", "matrix_sums")}
    assert set(found.values()) == {"skipped"}
