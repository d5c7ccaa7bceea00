"""Checks whether the numbers of a record are consistent with each other. They need no model, so they apply to
recordings, whose model cannot be computed again.

Each relation is written in plain numpy from its definition, and shares no code with the metrics. Records that were
written by another program, combined from several or damaged violate them. A consistent record can still be that of
another model. Shapes: L layers, n streams.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np

from mhc_core.checks.check import Scale
from mhc_core.checks.verification import RecordCheck, compare
from mhc_core.metrics import METRICS
from mhc_core.record.result import Result

Array = np.ndarray

SOURCE = "Definition of the metric"
# Tolerances.
PRODUCT_TOLERANCE = 1e-4  # in decades: records have matrices in float32, and a product contains one rounding of each
SUM_TOLERANCE = 1e-5  # relative to the largest entry
LOG_TOLERANCE = 1e-5  # in decades
SHARE_TOLERANCE = 1e-4
STEP_TOLERANCE = 0.02  # relative to the state, which bfloat16 rounds to 0.4 %
RANGE_TOLERANCE = 1e-3
# Metrics whose values are between -1 and 1, or between 0 and 1, for any model.
UNIT = ("cos_prev", "token_cos", "stream_cos", "cka")
SHARES = ("act_share_max", "read_share_max", "write_share_max", "act_share_entropy", "branch_share")

# For each check: which faults make it fail, and which it cannot find.
DETECTS = {
    "products": "Finds gains that are not those of the matrices: layers in another order, matrices that were changed "
    "or transposed after. It cannot find matrices that were captured wrongly, as both then follow from them.",
    "matrix_sums": "Finds sums that are not those of the matrices. It cannot find matrices that were captured wrongly, "
    "or transposed where sums are 1 both ways.",
    "logarithms": "Finds values that were changed without their logarithms. It cannot find values that were measured "
    "wrongly.",
    "stream_shares": "Finds sizes of streams that do not belong to the shares next to them. It cannot find streams "
    "that were swapped in both.",
    "merged_norm": "Finds a size of the mean over streams above that of the streams, which no state has. It cannot "
    "find one that is too small.",
    "skip_step": "Finds a layer of one stream whose state moves by more than its branch adds: a skip path that is not "
    "the identity, or a branch that was measured elsewhere. It cannot find a branch that is too large.",
    "ranges": "Finds cosines, similarities and shares beyond their ends, and a layer that is not wholly like itself. "
    "It cannot find wrong values inside of the range.",
}


def check_record(result: Result) -> list[RecordCheck]:
    """Run all checks of a record that need no model, such as those of sums, products and ranges."""
    checks: list[Callable[[Result], Iterator[RecordCheck]]] = [
        _check_products,
        _check_sums,
        _check_logarithms,
        _check_shares,
        _check_merged,
        _check_steps,
        _check_ranges,
    ]
    return [found for check in checks for found in check(result)]


def _compare_column(
    name: str, key: str, expected: Array, got: Array, tolerance: Array | float, text: str, scale: Scale = "linear"
) -> RecordCheck:
    """Compare a column `got` with the `expected` one, in layers where all numbers of both are finite."""
    kept_L = np.isfinite(expected) & np.isfinite(got)
    kept_L = kept_L.reshape(len(expected), -1).all(1)
    return compare(name, key, expected, got, tolerance, kept_L, text, SOURCE, scale, DETECTS[name])


def _check_products(result: Result) -> Iterator[RecordCheck]:
    """Compare the composite gains with those of products of the record's H_res."""
    h_res = result.matrices.get("h_res")
    if h_res is None:
        return
    matrices = h_res.astype(np.float64)
    up = _accumulate(list(matrices), axis=1)
    # The transpose of H_L ... H_l is a product of transposes, accumulated from the last layer to the first.
    down = _accumulate([matrix.T for matrix in matrices[::-1]], axis=1)[::-1]
    for key, expected, where in (("composite_gain_fwd", up, "rows"), ("composite_gain_bwd", down, "columns")):
        if key in result.layers_log10:
            text = f"The gain is the largest sum over {where} of the product of the matrices H_res of the record."
            yield _compare_column("products", key, expected, result.layers_log10[key], PRODUCT_TOLERANCE, text, "log10")


def _accumulate(matrices: list[Array], axis: int) -> Array:
    """Return log10 of the largest |sum over `axis`| of the product of the first l + 1 matrices, (L)."""
    product, log, found = np.eye(len(matrices[0])), 0.0, []
    with np.errstate(divide="ignore", invalid="ignore"):
        for matrix in matrices:
            product = matrix @ product
            size = np.abs(product).max()
            product, log = product / size, log + np.log10(size)
            found.append(log + np.log10(np.abs(product.sum(axis)).max()))
    return np.array(found)


def _check_sums(result: Result) -> Iterator[RecordCheck]:
    """Compare row sums, column sums and the distance from doubly stochastic with those of the record's H_res."""
    h_res = result.matrices.get("h_res")
    if h_res is None:
        return
    matrices = h_res.astype(np.float64)
    size = np.nan_to_num(np.abs(matrices).max((1, 2)), nan=1.0)
    tolerance = SUM_TOLERANCE * np.maximum(1.0, size)
    for key, axis, name in (("h_res_row_sum", 2, "row"), ("h_res_col_sum", 1, "column")):
        if key in result.layers:
            text = f"They are the {name} sums of the matrices H_res of the record."
            tolerance_Ln = np.broadcast_to(tolerance[:, None], matrices.shape[:2])
            yield _compare_column("matrix_sums", key, matrices.sum(axis), result.layers[key], tolerance_Ln, text)
    if "ds_error" in result.layers:
        error = np.maximum(np.abs(matrices.sum(2) - 1).max(1), np.abs(matrices.sum(1) - 1).max(1))
        expected = np.maximum(error, np.maximum(-matrices.min((1, 2)), 0.0))
        text = "The largest deviation of a row or column of H_res from 1, or its largest negative entry."
        yield _compare_column("matrix_sums", "ds_error", expected, result.layers["ds_error"], tolerance, text)


def _check_logarithms(result: Result) -> Iterator[RecordCheck]:
    yield from _pick_worst(list(_compare_logarithms(result)))


def _pick_worst(checks: list[RecordCheck]) -> list[RecordCheck]:
    """Return only the check that is closest to failing, of checks of many columns with the same statement."""
    compared = [check for check in checks if check.verdict != "skipped"]
    if not compared:
        return checks[:1]
    worst = max(compared, key=_measure_miss)
    return [replace(worst, statement=f"{worst.statement} Of {len(compared)} columns, the one nearest to failing.")]


def _measure_miss(check: RecordCheck) -> float:
    """Return |measured - expected| in units of the tolerance; inf if a number is missing or the tolerance is 0."""
    if check.expected is None or check.measured is None or not check.tolerance:
        return math.inf
    return abs(check.measured - check.expected) / check.tolerance


def _compare_logarithms(result: Result) -> Iterator[RecordCheck]:
    """Check that each log10 in a record is the logarithm of the corresponding value."""
    for key, log in result.layers_log10.items():
        value = result.layers.get(key)
        if value is None or not (np.isfinite(log) & (value > 0)).any():
            continue
        with np.errstate(divide="ignore", invalid="ignore"):
            expected = np.where(value > 0, np.log10(value), np.nan)
        known = np.isfinite(expected) & np.isfinite(log)
        # Numbers beyond the range of the type have no value, and 0 has no logarithm. Neither can be compared.
        expected, got = np.where(known, expected, 0.0), np.where(known, log, 0.0)
        yield _compare_column(
            "logarithms", key, expected, got, LOG_TOLERANCE, "It belongs to the value next to it.", "log10"
        )


def _check_shares(result: Result) -> Iterator[RecordCheck]:
    """Compare the largest share of a stream with that computed from the record's sizes and weights."""
    sizes = {
        "act": (result.layers.get("act_rms_streams"), 2),
        "read": (result.matrices.get("h_pre"), 1),
        "write": (result.matrices.get("h_post"), 1),
    }
    for name, (size_Ln, power) in sizes.items():
        key = f"{name}_share_max"
        if size_Ln is None or key not in result.layers:
            continue
        size = np.abs(size_Ln.astype(np.float64))
        with np.errstate(invalid="ignore", divide="ignore"):
            scaled = (size / size.max(1, keepdims=True)) ** power
            expected = (scaled / scaled.sum(1, keepdims=True)).max(1)
        text = "The largest share of a stream in the sizes next to it."
        yield _compare_column("stream_shares", key, expected, result.layers[key], SHARE_TOLERANCE, text)


def _check_merged(result: Result) -> Iterator[RecordCheck]:
    """Check that the mean over streams is at most as large as the root mean square of the streams."""
    merged, streams = result.layers.get("act_rms"), result.layers.get("act_rms_streams")
    if merged is None or streams is None:
        return
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        bound = np.sqrt((streams.astype(np.float64) ** 2).mean(1))
        excess = np.where(bound > 0, np.maximum(merged / bound - 1.0, 0.0), np.nan)
    text = "The mean over streams is at most as large as the streams are in the root mean square."
    yield _compare_column("merged_norm", "act_rms", np.zeros(len(merged)), excess, RANGE_TOLERANCE, text)


def _check_steps(result: Result) -> Iterator[RecordCheck]:
    """Check stacks with one stream by the triangle inequality of x' = x + F, for sizes of states and branch outputs."""
    state, branch = result.layers.get("act_rms"), result.layers.get("branch_out_rms")
    h_res, h_post = result.matrices.get("h_res"), result.matrices.get("h_post")
    if result.streams > 1 or state is None or branch is None or h_res is None or h_post is None:
        return
    is_plain = (np.abs(h_res[:, 0, 0] - 1) < SUM_TOLERANCE) & (np.abs(h_post[:, 0] - 1) < SUM_TOLERANCE)
    before = np.concatenate([[result.input.get("act_rms") or np.nan], state[:-1]]).astype(np.float64)
    excess = np.maximum(np.abs(state - before) - branch, 0.0) / np.maximum(state, before)
    excess = np.where(is_plain, excess, np.nan)
    text = "Between two layers the size of the state changes by at most that of the branch."
    yield _compare_column("skip_step", "act_rms", np.zeros(len(state)), excess, STEP_TOLERANCE, text)


def _check_ranges(result: Result) -> Iterator[RecordCheck]:
    yield from _pick_worst(list(_compare_ranges(result)))


def _compare_ranges(result: Result) -> Iterator[RecordCheck]:
    """Check that cosines, similarities and shares are within their ranges, and that CKA with itself is 1."""
    for key in (*UNIT, *SHARES):
        table = result.matrices if METRICS[key].table == "matrices" else result.layers
        if key not in table:
            continue
        column = table[key].astype(np.float64).reshape(result.depth, -1)
        low = 0.0 if key in SHARES else -1.0
        # Unbiased CKA is an estimate, which can have any value below 1. That of a layer with itself is 1.
        excess = np.maximum(column - 1.0, 0.0) if key == "cka" else np.maximum(column - 1.0, low - column)
        known = np.isfinite(excess)
        worst = np.where(known.any(1), np.where(known, np.maximum(excess, 0.0), 0.0).max(1), np.nan)
        if key == "cka":
            worst = np.fmax(worst, np.abs(np.diagonal(column) - 1.0))
        text = "Its values lie between their ends." if key != "cka" else "At most 1, and 1 of a layer with itself."
        yield _compare_column("ranges", key, np.zeros(len(worst)), worst, RANGE_TOLERANCE, text)
