"""How far rounding may move a column of an honest run: what it costs at least, by metric and type.

Columns are compared on the metric's own scale: in decades where its values span decades, else as they are. A magnitude
below `find_floor` is rounding, and counts as `LIFT` times that much.
"""

from collections.abc import Mapping

import numpy as np

from mhc_core.checks.reference_columns import REFERENCES, bound_rounding, follow_gauge
from mhc_core.metrics import METRICS
from mhc_core.spec import RunSpec

Array = np.ndarray

# One rounding of a state, by the type of the run that is verified.
ROUNDING = {"float32": 2.0**-23, "float64": 2.0**-52, "bfloat16": 2.0**-8}
# What rounding costs even where nothing enlarges it, in decades or relative to the larger of 1 and the value; above the
# largest that 80 specs of 16 and 96 layers showed.
LEAST = {"float64": 1e-12, "float32": 1e-5, "bfloat16": 0.02}
SATURATED = 4.0  # roundings of a whole gradient in a saturated map; 1.7 were the most in six runs of 24 layers
ROUNDINGS_OF_MAP = 10.0  # of a coefficient in a map of many steps, as Sinkhorn
MOST = 0.3  # A wider tolerance would say nothing.
PROMISED = 1e-5  # what the catalogue promises of most columns, relative to their values
LIFT = 3.0
# The effective rank takes singular values from a Gram matrix, which keeps half of float64's digits of the small ones.
RANK_LEAST = 1e-4
# Samples that lie close together leave CKA fewer digits than the catalogue promises; it is taken in float32 at least.
CKA_LEAST = {"float64": 2e-11, "float32": 2e-4, "bfloat16": 0.04}


def find_tolerance(spec: RunSpec, key: str, expected: Array) -> Array:
    """Return the least tolerance of each entry of a column, on the scale of `to_scale`: `LEAST` by the spec's type.

    A metric of which the catalogue promises half as many digits as of others gets twice the tolerance.
    """
    least = LEAST[_find_type(spec, key)]
    relative, absolute = METRICS[key].precision or (PROMISED, PROMISED)
    if METRICS[key].scale == "log":
        wide = np.full(expected.shape, min(least * max(1.0, relative / PROMISED), MOST / 3))
        floor = find_floor(spec, key)
        return wide - np.log10(1 - floor / np.maximum(10**expected, LIFT * floor)) if floor else wide
    found: Array = least * (absolute + relative * np.abs(expected)) / PROMISED
    if key == "effective_rank":
        return np.maximum(found, RANK_LEAST * np.abs(expected))
    return np.full(expected.shape, CKA_LEAST[_find_type(spec, key)]) if key == "cka" else found


def find_added(spec: RunSpec, columns: Mapping[str, Array]) -> dict[str, Array]:
    """Return what bounds of rounding add to the tolerances, in decades (L), by metric."""
    return _find_saturation(spec, columns) | _find_decided(spec, columns)


def _find_saturation(spec: RunSpec, columns: Mapping[str, Array]) -> dict[str, Array]:
    """Return what rounding in the map from logits to H_res adds to tolerances, in decades (L), by metric.

    A saturated softmax passes differences of gradients that are small next to the gradients themselves: a rounding of a
    whole gradient counts 1 / (mixing_grad_share * mixing_signal) times. So does the softmax over sources, where these
    are nearly parallel, as where outputs are 0: of the gradient at a query, a token's part is at most |g| |s| |k|, of
    the gradient at what is read, the largest source and its key, and their roundings add up at random over tokens.
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
    """Return what rounding of coefficients does to what inverse products are made of: the bound of each matrix, summed,
    and that of reads and writes in the fixed basis.
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
    """Return the rounding of one coefficient of the mixing: float32's at least, unless its map is coarser."""
    return ROUNDING[spec.dtype] if spec.maps_coarsely else min(ROUNDING[spec.dtype], ROUNDING["float32"])


def _find_depth_saturation(spec: RunSpec, columns: Mapping[str, Array]) -> dict[str, Array]:
    """Return what rounding adds to the tolerance of gradients of weights over depth, in decades (L), by metric."""
    if "mixing_grad_norm" not in columns:
        return {}
    samples = spec.input.batch * spec.input.tokens
    # A step of training has no sizes of outputs.
    sizes = np.maximum(columns["act_rms"], columns.get("branch_out_rms", columns["act_rms"]))
    size = np.maximum.accumulate(sizes) * spec.connection.depth_block
    whole = samples**0.5 * spec.width**1.5 * columns["grad_rms"] * size
    with np.errstate(divide="ignore", invalid="ignore"):
        decades = np.log10(1 + SATURATED * ROUNDING[spec.dtype] * whole / columns["mixing_grad_norm"])
    return {"mixing_grad_norm": np.nan_to_num(decades, nan=0.0, posinf=0.0)}


def find_floor(spec: RunSpec, key: str) -> float:
    """Return the magnitude below which a column that spans decades is only rounding; 0 if its digits are kept."""
    _, absolute = METRICS[key].precision or (0.0, 0.0)
    if METRICS[key].scale != "log" or not absolute:
        return 0.0
    own = _find_type(spec, key)
    if _names_type(key):
        _, promised = METRICS[f"ds_error_{own}"].precision or (0.0, 0.0)
        return promised
    return absolute * LEAST[own] / PROMISED


def _find_type(spec: RunSpec, key: str) -> str:
    """Return the dtype whose rounding changes a column most.

    Coefficients are float32 at least, unless their mapping is coarser; of dynamic mixing that rounds every signal.
    """
    is_mixing = REFERENCES[key] == "mixing"
    own: str = "float32" if is_mixing and spec.dtype == "bfloat16" else spec.dtype
    own = key.rpartition("_")[2] if _names_type(key) else own
    return max(own, spec.connection.mapping_dtype, key=LEAST.__getitem__) if spec.maps_coarsely else own


def _names_type(key: str) -> bool:
    """Return whether a column is about what another, named type would do to the run."""
    return key.startswith("ds_error_") and key.rpartition("_")[2] in LEAST


def to_scale(spec: RunSpec, key: str, values: Array) -> Array:
    """Return values on the scale on which columns are compared, magnitudes below the floor lifted to it.

    -inf for 0 if none is.
    """
    if METRICS[key].scale != "log" or REFERENCES[key] == "jacobian":
        return values  # of singular values, rounding leaves what is small relative to the largest
    return lift(spec, key, to_log10(values))


def lift(spec: RunSpec, key: str, log10: Array) -> Array:
    """Return log10 values, none below that of `LIFT` times the floor."""
    floor = find_floor(spec, key)
    return np.maximum(log10, np.log10(LIFT * floor)) if floor else log10


def measure_distance(spec: RunSpec, key: str, column: Array, other: Array | None) -> Array:
    """Return how far two columns (L, ...) are apart in each layer, (L): inf if only one of them has a number."""
    if other is None or other.shape != column.shape:
        return np.full(len(column), np.inf)
    with np.errstate(invalid="ignore"):
        apart = np.abs(to_scale(spec, key, column) - to_scale(spec, key, other))
    apart = np.where(np.isnan(column) != np.isnan(other), np.inf, np.nan_to_num(apart, nan=0.0, posinf=np.inf))
    found: Array = apart.reshape(len(apart), -1).max(1)
    return found


def to_log10(values: Array) -> Array:
    """Return log10, -inf for 0, and nan for negative values."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.log10(values)
