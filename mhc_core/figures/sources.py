"""Data sources of traces: the texts in `meta.fill`, and the data that they name, as in `static/js/figures/sources.js`.

layer            1, 2, ... L
layers.<key>     a column of values
log10.<key>      its logarithms, which are also known if the value overflows
text.<key>       the column as texts for people
stream_layer.<key>, stream_layers.<key>, stream_log10.<key>, stream_text.<key>, stream_number.<key>
                 the same for a column (L, n), and the stream of each value: all streams in one list, with None between
                 two streams
span.<key>       texts from the column <key>_min to <key>_max, such as "0.1 … 2"
p05.layers.<key>, p05.log10.<key>, p05.text.<key>   the 5th percentile over seeds in the same three forms; p50 and p95
                 likewise
middle.<form>.<key>    the median over several seeds, or the column of one seed, in the same three forms
first_seed.<form>.<key>   the column of the first of several seeds; None for one seed
matrices.<key>   a matrix, or one matrix per layer
row.<key>        the row of a matrix at the cursor
lower.<key>      a matrix (L, L + 1) whose row k has entries up to column k, as L x L with nan above the diagonal
signed_log.<source>   the matrix of another source on the logarithmic scale of `scales.py`
at.<key>         the matrix of the cursor's layer
product.<span>.<key>, product_text.<span>.<key>, product_label.<span>.<key>   the product of matrices over a span of
                 layers (`composites.py`) on the logarithmic scale of `scales.py`, its entries as texts, and the run's
                 label with the power of ten of these texts
basis.<t>, basis_text.<t>   H_pre, H_post and H_res of the cursor's layer in another basis, t in percent (`basis.py`),
                 as one matrix, and its entries as texts
eigen.<span>.<part>   lines from the origin to the eigenvalues of the product of H_res over a span (`eigenvalues.py`):
                 re, im or text
montage.<key>    matrices (L, n, n) as one matrix n x (L (n+1) - 1), with an empty column between layers
x0.<key>, dx.<key>   position of the montage's first column, and the distance of its columns, in layers
features.<key>   an array (L, n, C) as one matrix: one column per layer, C rows per stream, with empty rows between
                 streams
feature_numbers.<key>   a matrix of the same shape with the number of each row's feature
feature_start.<key>, feature_step.<key>   position of its first row, and the distance of its rows, in streams
step             1, 2, ... S, the training steps; for a trace, the trainer's own numbers
steps.<key>, steps_log10.<key>   a column over the training steps, or a matrix with one row per step
steps_text.<key> a column over the training steps as texts
law.<part>.<key> a part of the law of a metric: values, low or high (with _log10 for their logarithms), or text for all
                 three as one text
label            the run's label
cka_label        the run's label with the estimator of CKA; if it is biased, also the number of samples, which is needed
                 to judge it
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from typing import Any, Protocol

import numpy as np

from mhc_core.figures import basis, composites, eigenvalues
from mhc_core.figures.scales import to_signed_log
from mhc_core.findings.numerals import UNKNOWN, format_value
from mhc_core.metric import pick_features
from mhc_core.record.start import CkaEstimator, Law

PERCENTILES = ("p05", "p50", "p95")
TOO_WEAK = "too weak to say"  # shown for layers in which the band of theory would be too wide
MAX_DECADES = 307  # range of float64


class Columns(Protocol):
    """The parts of a result with which figures are filled."""

    @property
    def cka_estimator(self) -> CkaEstimator | None: ...

    @property
    def laws(self) -> Sequence[Law]: ...

    @property
    def method(self) -> str | None: ...

    @property
    def width(self) -> int | None: ...

    depth: int
    layers: dict[str, np.ndarray]
    layers_log10: dict[str, np.ndarray]
    status: dict[str, dict[int, str]]
    matrices: dict[str, np.ndarray]
    steps: dict[str, np.ndarray]
    steps_log10: dict[str, np.ndarray]
    steps_status: dict[str, dict[int, Any]]
    iterations: dict[int, int]
    bands: dict[str, dict[str, np.ndarray]]


@dataclass
class DerivedColumns:
    """Columns that are derived from those of a run, such as differences, or columns at a training step."""

    depth: int
    width: int | None = None
    cka_estimator: CkaEstimator | None = None
    laws: Sequence[Law] = ()
    method: str | None = None
    layers: dict[str, np.ndarray] = field(default_factory=dict)
    layers_log10: dict[str, np.ndarray] = field(default_factory=dict)
    status: dict[str, dict[int, str]] = field(default_factory=dict)
    matrices: dict[str, np.ndarray] = field(default_factory=dict)
    steps: dict[str, np.ndarray] = field(default_factory=dict)
    steps_log10: dict[str, np.ndarray] = field(default_factory=dict)
    steps_status: dict[str, dict[int, Any]] = field(default_factory=dict)
    iterations: dict[int, int] = field(default_factory=dict)
    bands: dict[str, dict[str, np.ndarray]] = field(default_factory=dict)
    unknown: set[str] = field(default_factory=set)  # metrics without data at the step that is shown


def derive(result: Columns, **changed: Any) -> DerivedColumns:
    """Return a copy of a result's columns with some of them replaced; the others are shared."""
    own = {part.name: getattr(result, part.name) for part in fields(DerivedColumns) if part.name != "unknown"}
    return DerivedColumns(**{**own, "unknown": to_unknown(result), **changed})


def to_unknown(result: Columns) -> set[str]:
    """Return the keys of metrics without data at the shown training step; empty if no step is chosen."""
    return result.unknown if isinstance(result, DerivedColumns) else set()


def look_up(source: str, result: Columns, label: str, cursor: int) -> Any:
    """Return the data of a run that `source` names, for one attribute of a trace; None if the run has none."""
    name, _, key = source.partition(".")
    if name == "label":
        return label
    if name == "cka_label":
        return _to_cka_label(result.cka_estimator, label)
    if name == "layer":
        return list(range(1, result.depth + 1))
    if name == "layers":
        return to_list(result.layers[key]) if key in result.layers else None
    if name == "log10":
        return to_list(result.layers_log10[key]) if key in result.layers_log10 else None
    if name == "text":
        return to_texts(result, key)
    if name == "span":
        return _to_span_texts(result, key)
    if name == "step":
        return to_step_numbers(result) if result.steps else None
    if name in ("steps", "steps_log10"):
        column = getattr(result, name).get(key)
        return column if column is None or column.ndim == 2 else to_list(column)
    if name == "steps_text":
        return to_step_texts(result, key)
    if name in ("middle", "first_seed"):
        return _from_seeds(result, name, *key.split(".", 1))
    if name in PERCENTILES:
        return _from_band(result, name, *key.split(".", 1))
    if name == "law":
        return _from_law(result, *key.split(".", 1))
    if name == "signed_log":
        weights = look_up(key, result, label, cursor)
        return None if weights is None else to_signed_log(weights)
    if name.startswith("product"):
        product = find_product(source, result, cursor)
        if product is None:
            return None
        if name == "product_label":
            return composites.to_label(product, label)
        return composites.to_cell_texts(product) if name == "product_text" else composites.to_signed_logs(product)
    if name == "eigen":
        span, part = key.split(".")
        product = find_product(f"product.{span}.h_res", result, cursor)
        values = None if product is None else eigenvalues.find_eigenvalues(product)
        return eigenvalues.to_spokes(values, part) if values else None
    if name.startswith("basis"):
        block = basis.build_block(result.matrices, key, cursor)
        return block if block is None or name == "basis" else basis.to_texts(block)
    if name.startswith("feature"):
        return _from_features(result, name, result.matrices.get(key))
    if name.startswith("stream_"):
        return to_streams(result, name.removeprefix("stream_"), key)
    matrix = result.matrices.get(key)
    if matrix is None:
        return None
    return _from_matrix(name, matrix, min(cursor, len(matrix) - 1))


def _to_cka_label(cka: CkaEstimator | None, label: str) -> str:
    """Return a run's label with the estimator of CKA, which early records do not name."""
    if cka is None:
        return label
    return f"{label} · {f'biased, N = {cka.samples}' if cka.estimator == 'biased' else cka.estimator}"


def find_product(source: str, result: Columns, cursor: int) -> composites.Product | None:
    """Return the product of matrices that a data source names; None for other sources, and without mixing."""
    name, *rest = source.split(".", 2)
    if not name.startswith("product"):
        return None
    span, key = rest
    stack = result.matrices.get(key)
    if stack is None or stack.shape[-1] == 1 or composites.lies_beyond(span, len(stack)):
        return None
    return composites.multiply(stack, span, cursor, result.status.get(key))


def _from_seeds(result: Columns, name: str, form: str, key: str) -> list[Any] | None:
    """Return the data of `middle` and `first_seed`: the median over seeds, or the column of the first seed."""
    has_seeds = key in result.bands
    if name == "middle" and has_seeds:
        return _from_band(result, "p50", form, key)
    if name == "first_seed" and not has_seeds:
        return None
    return look_up(f"{form}.{key}", result, "", 0)


def _from_band(result: Columns, percentile: str, form: str, key: str) -> list[Any] | None:
    """Return a percentile over seeds as values, log10 or texts.

    For metrics that span decades, percentiles are stored as log10. A value beyond the range of float64 is None.
    """
    if key not in result.bands:
        return None
    kept = to_list(result.bands[key][percentile]) or []
    if key not in result.layers_log10:
        return [format_value(value) for value in kept] if form == "text" else kept
    if form == "log10":
        return kept
    values = [None if log10 is None or abs(log10) > MAX_DECADES else 10**log10 for log10 in kept]
    if form == "text":
        return [format_value(value, log10) for value, log10 in zip(values, kept, strict=True)]
    return values


def _from_law(result: Columns, part: str, key: str) -> list[Any] | None:
    """Return a part of the law that predicts a metric: values, an end of its band, or texts; None without a law."""
    law = next((law for law in result.laws if law.metric == key), None)
    if law is None:
        return None
    if part != "text":
        column: list[float | None] | None = getattr(law, part)
        return column and list(column)
    value, low, high = (_law_texts(law, name) for name in ("values", "low", "high"))
    texts = zip(value, low, high, strict=True)
    return [TOO_WEAK if middle == UNKNOWN else f"{middle} ({least} … {most})" for middle, least, most in texts]


def _law_texts(law: Law, part: str) -> list[str]:
    """Format the values of a law, or one end of its band, in each layer."""
    values: list[float | None] = getattr(law, part)
    logs: list[float | None] = getattr(law, f"{part}_log10") or [None] * len(values)
    return [format_value(value, log10) for value, log10 in zip(values, logs, strict=True)]


def to_texts(result: Columns, key: str) -> list[str] | None:
    """Format a metric's values over the layers as texts for tables and figures; None if the run lacks it."""
    return _format_column(result.layers, result.layers_log10, result.status, key)


def to_step_numbers(result: Columns) -> list[int]:
    """Return the number of each training step for people: from 1, or the trainer's own if a trace has all of them."""
    steps = max(len(column) for column in result.steps.values())
    numbers = [result.iterations.get(step) for step in range(steps)]
    known = [number for number in numbers if number is not None]
    return known if len(known) == steps else list(range(1, steps + 1))


def to_step_texts(result: Columns, key: str) -> list[str] | None:
    """Format the values of a column over training steps for people."""
    return _format_column(result.steps, result.steps_log10, result.steps_status, key)


def _format_column(
    columns: dict[str, np.ndarray],
    columns_log10: dict[str, np.ndarray],
    statuses: dict[str, dict[int, Any]],
    key: str,
) -> list[str] | None:
    """Format each value of a column, with its logarithm and status; None without the column."""
    if key not in columns:
        return None
    values = to_list(columns[key])
    logs = to_list(columns_log10[key]) if key in columns_log10 else [None] * len(values)
    status = statuses.get(key, {})
    return [
        format_value(value, log10, status.get(place))
        for place, (value, log10) in enumerate(zip(values, logs, strict=True))
    ]


def _to_span_texts(result: Columns, key: str) -> list[str] | None:
    """Format the smallest and largest value of a metric in each layer, such as "0.1 … 2"."""
    least, most = to_texts(result, f"{key}_min"), to_texts(result, f"{key}_max")
    return least and most and [f"{low} … {high}" for low, high in zip(least, most, strict=True)]


def to_streams(result: Columns, kind: str, key: str) -> list[Any] | None:
    """Return a column (L, n) as one list, with None between streams: n (L + 1) - 1 entries.

    kind: layer, number, text, log10 or layers, as in the data sources.
    """
    column = result.layers.get(key)
    if column is None:
        return None
    logs, status = result.layers_log10.get(key, np.full_like(column, np.nan)), result.status.get(key, {})
    parts: list[Any] = []
    for stream in range(column.shape[1]):
        values, log10 = to_list(column[:, stream]), to_list(logs[:, stream])
        if kind == "layer":
            part: list[Any] = list(range(1, len(column) + 1))
        elif kind == "number":
            part = [stream + 1] * len(column)
        elif kind == "text":
            pairs = zip(values, log10, strict=True)
            part = [format_value(*pair, status.get(layer)) for layer, pair in enumerate(pairs)]
        else:
            part = log10 if kind == "log10" else values
        parts += [*part, None]
    return parts[:-1]


def to_list(column: np.ndarray) -> list[Any]:
    """Return a column as a list, with None for values that are not finite."""
    return [float(value) if np.isfinite(value) else None for value in column]


def _from_matrix(name: str, matrix: np.ndarray, cursor: int) -> Any:
    """Return the data of sources on matrices: the matrices, one matrix, a row, or a montage; None for one stream."""
    if name == "matrices":
        return matrix
    if name == "row":
        return to_list(matrix[cursor])
    if name == "lower":
        return np.where(np.tri(len(matrix), dtype=bool), matrix[:, :-1], np.nan)
    streams = matrix.shape[-1]
    if streams == 1:
        return None  # one stream mixes nothing
    if name == "at":
        return matrix[cursor]
    if name == "montage":
        return to_montage(matrix)
    if name == "x0":
        return 1 - (streams - 1) / 2 / (streams + 1)
    if name == "dx":
        return 1 / (streams + 1)
    raise ValueError(f"unknown source {name}.<key>")


def _from_features(result: Columns, name: str, stack: np.ndarray | None) -> Any:
    """Return the data of sources on an array (L, n, C) of single features; None without it."""
    if stack is None:
        return None
    layers, streams, count = stack.shape
    pitch = count + max(1, count // 16)  # with empty rows between two streams
    if name == "feature_start":
        return 1 - (count - 1) / 2 / pitch
    if name == "feature_step":
        return 1 / pitch
    assert result.width is not None, "records with values of single features say how many features there are"
    numbers = 1 + pick_features(result.width, streams)
    shown = stack if name == "features" else np.broadcast_to(numbers, stack.shape)
    rows = np.full((streams, pitch, layers), np.nan, dtype=np.float32)
    rows[:, :count] = shown.transpose(1, 2, 0)
    return rows.reshape(-1, layers)[: count - pitch]


def to_montage(stack: np.ndarray) -> np.ndarray:
    """Return the matrices of all layers as one matrix, next to each other, with an empty column between two."""
    layers, streams, _ = stack.shape
    wide = np.full((layers, streams, streams + 1), np.nan, dtype=np.float32)
    wide[:, :, :streams] = stack
    return np.ascontiguousarray(wide.transpose(1, 0, 2).reshape(streams, -1)[:, :-1])
