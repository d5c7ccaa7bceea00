"""Encode the result of a finished run as JSON, CSV or NPZ, for downloads."""

import asyncio
import csv
import io
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any

import numpy as np
import orjson

from mhc_core.record import codec
from mhc_core.record.result import Result
from mhc_core.record.tables import to_arrays, to_layer_table

# Parts of a result that an archive contains as arrays.
ARRAYS = ("layers", "layers_log10", "matrices", "steps", "steps_log10", "kept", "bands")

SEEDS = ("first", "seeds", "largest", "gradient_growth", "lost")  # other fields of a bands frame

BATCH_LINES = 256  # number of lines that are decoded in one call of a thread


async def read_result(lines: AsyncIterator[bytes]) -> Result:
    """Decode the frames of a run in a thread, and return its columns."""
    result = Result(keeps_frames=False)
    waiting: list[bytes] = []
    async for line in lines:
        waiting.append(line)
        if len(waiting) == BATCH_LINES:
            await asyncio.to_thread(_add_lines, result, waiting)
            waiting = []
    await asyncio.to_thread(_add_lines, result, waiting)
    return result


def to_json(run_id: str, result: Result) -> bytes:
    """Return a result as JSON with arrays as nested lists; values that are not finite are null."""
    return codec.to_json(_to_nested({"run": run_id, **_to_parts(result)}))


def to_packed_json(run_id: str, result: Result) -> bytes:
    """Return a result as JSON with arrays of two or more dimensions packed as in frames: `{dtype, bdata, shape}`."""
    return codec.to_json({"run": run_id, **_to_parts(result)})


def to_csv(run_id: str, result: Result) -> bytes:
    """Return a result as CSV: the columns of `to_layer_table`; values that are not finite are empty.

    Matrices and training steps have no columns. The first row of the last column, `left_out`, names them, separated by
    spaces; its other rows are empty. This is not a comment line, because most readers would read that as a row, and
    numbers as text.
    """
    columns = to_layer_table(result)
    columns["left_out"] = [" ".join([*result.matrices, *result.steps, *result.kept]), *[""] * (result.depth - 1)]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(zip(*(_to_cells(column) for column in columns.values()), strict=True))
    return text.getvalue().encode()


def to_npz(run_id: str, result: Result) -> bytes:
    """Return a result as NPZ: the arrays of `to_arrays` by name, and the rest as JSON in `meta`."""
    parts = {name: part for name, part in _to_parts(result).items() if name not in ARRAYS}
    meta = codec.to_json({"run": run_id, **parts})
    file = io.BytesIO()
    np.savez_compressed(file, allow_pickle=False, meta=np.frombuffer(meta, np.uint8), **to_arrays(result))
    return file.getvalue()


# Ending of a file name -> function that encodes a result.
WRITERS: dict[str, Callable[[str, Result], bytes]] = {"json": to_json, "csv": to_csv, "npz": to_npz}


def _add_lines(result: Result, lines: Sequence[bytes]) -> None:
    """Decode frames from the store, and add them to the columns of a result."""
    for line in lines:
        result.add(codec.decode_line(line))


def _to_parts(result: Result) -> dict[str, Any]:
    """Return the fields of a result's body. Fields about training are present only if the run trains."""
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
        "seeds": {} if result.seeds is None else {name: getattr(result.seeds, name) for name in SEEDS},
    }


def _to_nested(value: Any) -> Any:
    """Return the value with arrays of two or more dimensions as JSON lists, which the codec would pack."""
    if isinstance(value, dict):
        return {key: _to_nested(item) for key, item in value.items()}
    if isinstance(value, np.ndarray) and value.ndim >= 2:
        return orjson.Fragment(orjson.dumps(np.ascontiguousarray(value), option=orjson.OPT_SERIALIZE_NUMPY))
    return value


def _to_cells(column: Any) -> list[Any]:
    """Return the values of a column as texts for CSV; "" for a value that is not finite."""
    if isinstance(column, list):
        return column
    finite = np.isfinite(column)
    return [str(value) if keep else "" for value, keep in zip(column, finite, strict=True)]
