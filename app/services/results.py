"""A finished run as columns, in the formats that people take away: JSON, CSV, NPZ."""

import csv
import io
from collections.abc import AsyncIterator, Callable
from typing import Any

import numpy as np
import orjson

from mhc_core.record import codec
from mhc_core.record.result import Result

TRAINING = ("steps", "steps_log10", "kept")  # tables of a run that trained


async def read_result(lines: AsyncIterator[bytes]) -> Result:
    """Add up the frames of a log."""
    result = Result(keeps_frames=False)
    async for line in lines:
        result.add(codec.decode_line(line))
    return result


def to_json(run_id: str, result: Result) -> bytes:
    """Every column under its key, as nested lists in which what is not finite is null."""
    return codec.to_json(_to_nested({"run": run_id, **_to_parts(result)}))


def to_packed_json(run_id: str, result: Result) -> bytes:
    """The same with arrays of two or more dimensions packed, `{dtype, bdata, shape}`, as in the frames."""
    return codec.to_json({"run": run_id, **_to_parts(result)})


def to_csv(run_id: str, result: Result) -> bytes:
    """One row a layer, counted from 0; a column with an entry a stream is several, `key.0` and so on.

    What is not finite is empty; its log10 and status stand in columns beside it. Of a run of several seeds, the band
    stands in `key.p05`, `key.p50` and so on, or `key.log10.p05` where it is one of logarithms.

    Matrices and the steps of training have no columns. The first cell of the last column, `left_out`, names them, by
    spaces; its other cells are empty. A comment line would be a row to most readers, and turn numbers into text.
    """
    columns: dict[str, Any] = {"layer": np.arange(result.depth)}
    for key, column in result.layers.items():
        columns |= _flatten(key, column)
    for key, column in result.layers_log10.items():
        columns |= _flatten(f"{key}.log10", column)
    for key, band in result.bands.items():
        unit = f"{key}.log10" if key in result.layers_log10 else key
        columns |= {f"{unit}.{name}": column for name, column in band.items()}
    for key, flags in result.status.items():
        columns[f"{key}.status"] = [flags.get(layer, "finite") for layer in range(result.depth)]
    columns["left_out"] = [" ".join(_list_left_out(result)), *[""] * (result.depth - 1)]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(zip(*(_to_cells(column) for column in columns.values()), strict=True))
    return text.getvalue().encode()


def to_npz(run_id: str, result: Result) -> bytes:
    """Arrays by name: `layers.<key>`, `layers_log10.<key>`, `matrices.<key>`; the rest as JSON in `meta`.

    Of a run that trained also `steps.<key>`, `steps_log10.<key>`, and `kept.<key>` with `kept.step`.
    Of a run of several seeds also `bands.<key>.<p05, p50, p95, min or max>`, of log10 where `layers_log10` has the key.
    """
    parts = _to_parts(result)
    arrays: dict[str, np.ndarray] = {}
    for table in ("layers", "layers_log10", "matrices", *(TRAINING if result.steps else ())):
        arrays |= {f"{table}.{key}": np.asarray(column) for key, column in parts.pop(table).items()}
    for key, band in parts.pop("bands").items():
        arrays |= {f"bands.{key}.{name}": column for name, column in band.items()}
    meta = codec.to_json({"run": run_id, **parts})
    file = io.BytesIO()
    np.savez_compressed(file, allow_pickle=False, meta=np.frombuffer(meta, np.uint8), **arrays)
    return file.getvalue()


# Ending of a file's name -> its writer.
WRITERS: dict[str, Callable[[str, Result], bytes]] = {"json": to_json, "csv": to_csv, "npz": to_npz}


def _to_parts(result: Result) -> dict[str, Any]:
    start, summary = codec.to_fields(result.start), codec.to_fields(result.summary)
    jacobian = {} if result.jacobian is None else codec.to_fields(result.jacobian)
    for fields in (start, summary, jacobian):
        fields.pop("type", None)
    training = {
        "loss_untrained": result.loss_untrained,
        "steps": result.steps,
        "steps_log10": result.steps_log10,
        "steps_status": result.steps_status,
        "kept": {"step": np.array(result.kept_steps), **result.kept},
    }
    return {
        **start,
        "loss": result.loss,
        "input_state": result.input,
        "jacobian": jacobian,
        "summary": summary,
        "status": result.status,
        "layers": result.layers,
        "layers_log10": result.layers_log10,
        "matrices": result.matrices,
        **(training if result.steps else {}),
        "bands": result.bands,
        "seeds": result.seeds or {},
    }


def _to_nested(value: Any) -> Any:
    """The value with arrays of two or more dimensions written as JSON, which the codec would pack."""
    if isinstance(value, dict):
        return {key: _to_nested(item) for key, item in value.items()}
    if isinstance(value, np.ndarray) and value.ndim >= 2:
        return orjson.Fragment(orjson.dumps(np.ascontiguousarray(value), option=orjson.OPT_SERIALIZE_NUMPY))
    return value


def _flatten(key: str, column: np.ndarray) -> dict[str, np.ndarray]:
    if column.ndim == 1:
        return {key: column}
    return {f"{key}.{stream}": column[:, stream] for stream in range(column.shape[1])}


def _list_left_out(result: Result) -> list[str]:
    return [*result.matrices, *result.steps, *result.kept]


def _to_cells(column: Any) -> list[Any]:
    if isinstance(column, list):
        return column
    finite = np.isfinite(column)
    return [str(value) if keep else "" for value, keep in zip(column, finite, strict=True)]
