"""Tolerances for rounding errors: how much a column of a correct run can differ from its recomputation, by metric and
dtype.

Columns are compared on the metric's scale: in decades if its values span decades, else as they are. Values below
`find_floor` are rounding errors, and are replaced by `LIFT` times this floor.
"""

from collections.abc import Mapping

import numpy as np

from mhc_core.checks.reference_columns import REFERENCES, bound_rounding, follow_gauge
from mhc_core.metrics import METRICS
from mhc_core.spec import RunSpec

Array = np.ndarray

# The relative size of one rounding of a state, by the dtype of the run.
ROUNDING = {"float32": 2.0**-23, "float64": 2.0**-52, "bfloat16": 2.0**-8}
# The error by rounding if nothing amplifies it, in decades, or relative to the larger of 1 and the value. It is above
# the largest error in 80 specs of 16 and 96 layers.
LEAST = {"float64": 1e-12, "float32": 1e-5, "bfloat16": 0.02}
SATURATED = 4.0  # roundings of a whole gradient in a saturated map; the largest in six runs of 24 layers was 1.7
ROUNDINGS_OF_MAP = 10.0  # roundings of a coefficient in a map with many steps, such as Sinkhorn
MOST = 0.3  # a wider tolerance is not useful
PROMISED = 1e-5  # the precision that the catalogue promises for most columns, relative to their values
LIFT = 3.0
# Singular values of the effective rank come from a Gram matrix, so small ones have half of float64's digits.
RANK_LEAST = 1e-4
# If samples are close together, CKA has fewer digits than the catalogue promises. It is computed at least in float32.
CKA_LEAST = {"float64": 2e-11, "float32": 2e-4, "bfloat16": 0.04}


def find_tolerance(spec: RunSpec, key: str, expected: Array) -> Array:
    """Return the least tolerance of each entry of a column, on the scale of `to_scale`: `LEAST` of the dtype, times the
    metric's promised precision over `PROMISED`.
    """
    least = LEAST[_find_type(spec, key)]
    relative, absolute = METRICS[key].precision or (PROMISED, PROMISED)
    if METRICS[key].scale == "log":
        tolerance = np.full(expected.shape, min(least * max(1.0, relative / PROMISED), MOST / 3))
        floor = find_floor(spec, key)
        return tolerance - np.log10(1 - floor / np.maximum(10**expected, LIFT * floor)) if floor else tolerance
    found: Array = least * (absolute + relative * np.abs(expected)) / PROMISED
    if key == "effective_rank":
        return np.maximum(found, RANK_LEAST * np.abs(expected))
    return np.full(expected.shape, CKA_LEAST[_find_type(spec, key)]) if key == "cka" else found


def find_added(spec: RunSpec, columns: Mapping[str, Array]) -> dict[str, Array]:
    """Return additional tolerances where rounding is known to be amplified, in decades (L), by metric."""
    return _find_saturation(spec, columns) | _find_decided(spec, columns)


def _find_saturation(spec: RunSpec, columns: Mapping[str, Array]) -> dict[str, Array]:
    """Return the additional tolerance of gradients through saturated maps, in decades (L), by metric.

    The gradient through a saturated softmax is a small difference of large numbers: a rounding of the whole gradient
    has 1 / (mixing_grad_share * mixing_signal) times its effect. The same is true for the softmax over sources if these
    are nearly parallel, for example because outputs are 0. The part of one token in the gradient of a query is at most
    |g| |s| |k|, with the gradient of the read, the largest source and its key. Roundings of tokens add up at random.
    """
    if not spec.family.has_mixing:
        return _find_depth_saturation(spec, columns)
    if "mixing_grad_share" not in columns:
        return {}
    rounding = _find_rounding(spec)
    passed = np.asarray(columns["mixing_grad_share"] * columns["mixing_signal"], dtype=np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        decades = np.log10(1 + SATURATED * rounding / passed)
    return {"mixing_grad_share": np.nan_to_num(decades, nan=0.0, posinf=0.0)}


def _find_decided(spec: RunSpec, columns: Mapping[str, Array]) -> dict[str, Array]:
    """Return the additional tolerance of metrics of inverse products, in decades (L), by metric: the least singular
    value, and reads and writes in the fixed basis.
    """
    if "composite_sigma_min" not in columns:
        return {}
    decided = {"composite_sigma_min": np.cumsum([bound_rounding(matrix) for matrix in columns["h_res"]])}
    if "gauge_read_norm" in columns:
        followed = follow_gauge(*(np.asarray(columns[key], dtype=np.float64) for key in ("h_pre", "h_post", "h_res")))
        decided |= {key: bound_L for key, (_, bound_L) in followed.items()}
    times = ROUNDINGS_OF_MAP * (_find_rounding(spec) / ROUNDING["float32"])
    return {key: np.log10(1 + times * bound_L) for key, bound_L in decided.items()}


def _find_rounding(spec: RunSpec) -> float:
    """Return the relative rounding of one coefficient of the mixing. Its dtype is float32 or finer, unless the map's
    is coarser.
    """
    return ROUNDING[spec.dtype] if spec.maps_coarsely else min(ROUNDING[spec.dtype], ROUNDING["float32"])


def _find_depth_saturation(spec: RunSpec, columns: Mapping[str, Array]) -> dict[str, Array]:
    """Return the additional tolerance of gradients of attention over depth, in decades (L), by metric."""
    if "mixing_grad_norm" not in columns:
        return {}
    samples = spec.input.batch * spec.input.tokens
    # Training steps do not measure the sizes of branch outputs.
    sizes = np.maximum(columns["act_rms"], columns.get("branch_out_rms", columns["act_rms"]))
    size = np.maximum.accumulate(sizes) * spec.connection.depth_block
    whole = samples**0.5 * spec.width**1.5 * columns["grad_rms"] * size
    with np.errstate(divide="ignore", invalid="ignore"):
        decades = np.log10(1 + SATURATED * ROUNDING[spec.dtype] * whole / columns["mixing_grad_norm"])
    return {"mixing_grad_norm": np.nan_to_num(decades, nan=0.0, posinf=0.0)}


def find_floor(spec: RunSpec, key: str) -> float:
    """Return the value below which a column that spans decades is only rounding error; 0 if it has no such limit."""
    _, absolute = METRICS[key].precision or (0.0, 0.0)
    if METRICS[key].scale != "log" or not absolute:
        return 0.0
    own = _find_type(spec, key)
    if _names_type(key):
        _, promised = METRICS[f"ds_error_{own}"].precision or (0.0, 0.0)
        return promised
    return absolute * LEAST[own] / PROMISED


def _find_type(spec: RunSpec, key: str) -> str:
    """Return the dtype whose rounding determines the errors of a column.

    Coefficients are at least float32, unless their map is computed in a coarser type.
    """
    is_mixing = REFERENCES[key] == "mixing"
    own: str = "float32" if is_mixing and spec.dtype == "bfloat16" else spec.dtype
    own = key.rpartition("_")[2] if _names_type(key) else own
    return max(own, spec.connection.mapping_dtype, key=LEAST.__getitem__) if spec.maps_coarsely else own


def _names_type(key: str) -> bool:
    """Return whether a column is the error of H_res in a dtype that its key names."""
    return key.startswith("ds_error_") and key.rpartition("_")[2] in LEAST


def to_scale(spec: RunSpec, key: str, values: Array) -> Array:
    """Return values on the scale on which columns are compared. Values below the floor are replaced, see `lift`.

    0 becomes -inf if the column has no floor.
    """
    if METRICS[key].scale != "log" or REFERENCES[key] == "jacobian":
        return values  # errors of singular values are relative to the largest one
    return lift(spec, key, to_log10(values))


def lift(spec: RunSpec, key: str, log10: Array) -> Array:
    """Return log10 values of a column, none below `LIFT` times the value that rounding alone reaches (`find_floor`)."""
    floor = find_floor(spec, key)
    return np.maximum(log10, np.log10(LIFT * floor)) if floor else log10


def measure_distance(spec: RunSpec, key: str, column: Array, other: Array | None) -> Array:
    """Return the largest difference of two columns (L, ...) in each layer, (L); inf if only one of them is known."""
    if other is None or other.shape != column.shape:
        return np.full(len(column), np.inf)
    with np.errstate(invalid="ignore"):
        apart = np.abs(to_scale(spec, key, column) - to_scale(spec, key, other))
    apart = np.where(np.isnan(column) != np.isnan(other), np.inf, np.nan_to_num(apart, nan=0.0, posinf=np.inf))
    return apart.reshape(len(apart), -1).max(1)


def to_log10(values: Array) -> Array:
    """Return log10 of values: -inf for 0, nan for negative values."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.log10(values)
