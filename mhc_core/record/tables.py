"""Converts a record to tables and arrays: numpy, pandas, polars, Parquet.

pandas and polars are imported only when they are used. A value that is not finite is nan.
"""

from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mhc_core.metric import pick_features
from mhc_core.metrics import METRICS
from mhc_core.spec.errors import SpecError

if TYPE_CHECKING:
    from mhc_core.record.result import Result

Table = dict[str, np.ndarray | Sequence[Any]]  # columns of one length, by name

# Names of the axes of metrics. Pairs of streams or layers have other names; the first one is the row.
AXES = {"L": "layer", "n": "stream", "C": "feature", "J": "source", "S": "step", "K": "step"}
PAIRS = {"nn": ("row", "column"), "LL": ("layer", "other_layer")}


def to_arrays(result: "Result") -> dict[str, np.ndarray]:
    """Return all arrays of a record by name: `layers.<key>`, `layers_log10.<key>`, `matrices.<key>`.

    A record with training also has `steps.<key>`, `steps_log10.<key>`, and `kept.<key>` with `kept.step`. A record of
    several seeds has `bands.<key>.<p05, p50, p95, min or max>`, of log10 if `layers_log10` has the key.
    """
    tables: dict[str, dict[str, Any]] = {
        "layers": result.layers,
        "layers_log10": result.layers_log10,
        "matrices": result.matrices,
    }
    if result.steps:
        tables |= {"steps": result.steps, "steps_log10": result.steps_log10}
        tables["kept"] = {"step": np.array(result.kept_steps), **result.kept}
    arrays = {f"{name}.{key}": np.asarray(column) for name, table in tables.items() for key, column in table.items()}
    for key, band in result.bands.items():
        arrays |= {f"bands.{key}.{name}": column for name, column in band.items()}
    return arrays


def to_layer_table(result: "Result") -> Table:
    """Return one row per layer, counted from 0. A column with one entry per stream becomes several: `key.0` and so on.

    A metric that spans decades also has `key.log10`, and a column with values that are not finite has `key.status`. In
    a record of several seeds, the band of a metric is in `key.p05`, `key.p50` and so on, or `key.log10.p05` and so on
    if it is a band of logarithms.
    """
    columns: Table = {"layer": np.arange(result.depth)}
    for key, column in result.layers.items():
        columns |= _split_streams(key, column)
    for key, column in result.layers_log10.items():
        columns |= _split_streams(f"{key}.log10", column)
    for key, band in result.bands.items():
        unit = f"{key}.log10" if key in result.layers_log10 else key
        columns |= {f"{unit}.{name}": column for name, column in band.items()}
    for key, flags in result.status.items():
        columns[f"{key}.status"] = [flags.get(layer, "finite") for layer in range(result.depth)]
    return columns


def to_step_table(result: "Result") -> Table:
    """Return one row per step of training, counted from 0.

    Contains metrics with one number per step; those that span decades also have `key.log10`.
    """
    numbers = {key: column for key, column in result.steps.items() if column.ndim == 1}
    logs = {f"{key}.log10": result.steps_log10[key] for key in numbers if key in result.steps_log10}
    return {"step": np.arange(len(next(iter(numbers.values()), ()))), **numbers, **logs}


def to_entry_table(result: "Result", key: str) -> Table:
    """Return one row per entry of one metric: its indices, counted from 0, and the value under the metric's key.

    The axes of H_res are `layer`, `row` (the stream that is written) and `column` (the stream that is read). For gates,
    `feature` is the index in the stream, even if only some features are kept.
    """
    kept = key in result.kept
    values = next(table[key] for table in _list_tables(result) if key in table)
    # A metric of a package that is not installed here has the axes layer, or layer and stream.
    names = _name_axes(METRICS[key].shape if key in METRICS else "Ln"[: values.ndim], values.ndim)
    places = np.indices(values.shape).reshape(values.ndim, -1)
    table: Table = dict(zip(names, places, strict=True))
    if kept:
        table["step"] = np.array(result.kept_steps)[places[0]]
    if "feature" in table:
        assert result.width is not None, "records with values of single features say how many features there are"
        table["feature"] = pick_features(result.width, result.streams)[table["feature"]]
    return {**table, key: values.ravel()}


def to_table(result: "Result", what: str = "layers") -> Table:
    """Return a record as one table: `layers`, `steps`, or the key of one metric, with one row per entry.

    Raises
    ------
    SpecError
        If the record has no such table.
    """
    if what == "layers":
        return to_layer_table(result)
    if what == "steps" and result.steps:
        return to_step_table(result)
    known = [key for table in _list_tables(result) for key in table]
    if what not in known:
        training = ["steps"] if result.steps else []
        raise SpecError("what", what, f"one of {', '.join(['layers', *training, *known])}")
    return to_entry_table(result, what)


def to_pandas(table: Table) -> Any:
    """Return a table as a pandas DataFrame."""
    _require_package("pandas")
    import pandas

    return pandas.DataFrame(table)


def to_polars(table: Table) -> Any:
    """Return a table as a polars DataFrame."""
    _require_package("polars")
    import polars

    return polars.DataFrame(table)


def write_parquet(table: Table, path: str | Path) -> Path:
    """Write a table to a Parquet file with polars, and return the path."""
    to_polars(table).write_parquet(path)
    return Path(path)


def _require_package(package: str) -> None:
    """Raise ModuleNotFoundError with the command that installs a package, if it is missing."""
    if find_spec(package) is None:
        raise ModuleNotFoundError(f"{package} is not installed: pip install 'mhc-scope[tables]'", name=package)


def _list_tables(result: "Result") -> list[dict[str, np.ndarray]]:
    return [result.layers, result.matrices, result.steps, result.kept]


def _name_axes(shape: str, ndim: int) -> tuple[str, ...]:
    """Return the names of the axes of a column whose metric has this shape."""
    for pair, names in PAIRS.items():
        if shape.endswith(pair):
            found = (*(AXES[axis] for axis in shape.removesuffix(pair)), *names)
            break
    else:
        found = tuple(AXES[axis] for axis in shape)
    assert len(found) == ndim, f"a column of shape {shape} has {ndim} axes"
    return found


def _split_streams(key: str, column: np.ndarray) -> dict[str, np.ndarray]:
    """Return a column (L, n) as n columns `key.0`, `key.1`, ...; a column (L) as it is."""
    if column.ndim == 1:
        return {key: column}
    return {f"{key}.{stream}": column[:, stream] for stream in range(column.shape[1])}
