"""A frame as one line of JSON: encoded once, in the worker, then stored and sent byte for byte."""

import base64
from typing import Any

import numpy as np
import orjson

from mhc_core.record.frames import Frame

_TYPE_KEY = b'"type":"'

# Plotly's names of the types it decodes; others are cast to f8 rather than refused by the page.
_PLOTLY_TYPES = {"f4", "f8", "i1", "u1", "i2", "u2", "i4", "u4"}


def encode_frame(frame: Frame, run_id: str, index: int) -> bytes:
    """The line of one frame, with its newline.

    Arrays of one dimension become lists in which a value that is not finite is null; arrays of two or more
    become Plotly's typed arrays `{dtype, bdata, shape}`.
    """
    head = {"run": run_id, "index": index, "type": frame.type}
    return to_json({**head, **frame.data}) + b"\n"


def encode_end(run_id: str, index: int, status: str, reason: str | None) -> bytes:
    """The line that ends a run's log."""
    return encode_frame(Frame("end", {"status": status, "reason": reason}), run_id, index)


def decode_line(line: bytes) -> dict[str, Any]:
    """A line as plain data; typed arrays become numpy arrays again."""
    decoded: dict[str, Any] = _restore(orjson.loads(line))
    return decoded


def frame_type(line: bytes) -> str:
    """The type of a line, read from its head without decoding the rest."""
    start = line.index(_TYPE_KEY) + len(_TYPE_KEY)
    return line[start : line.index(b'"', start)].decode()


def to_json(value: Any) -> bytes:
    """JSON of plain data and numpy arrays; what is not finite becomes null."""
    return orjson.dumps(_pack(value), option=orjson.OPT_NON_STR_KEYS | orjson.OPT_SERIALIZE_NUMPY)


def to_typed_array(array: np.ndarray) -> dict[str, str]:
    """Plotly's form of an array: type, base64 of its little-endian bytes, shape."""
    kind = array.dtype.str[1:]
    if kind not in _PLOTLY_TYPES:
        kind = "f8"
    packed = np.ascontiguousarray(array, dtype=f"<{kind}")
    shape = ", ".join(str(size) for size in array.shape)
    return {"dtype": kind, "bdata": base64.b64encode(packed.tobytes()).decode(), "shape": shape}


def from_typed_array(value: dict[str, str]) -> np.ndarray:
    """The array that `to_typed_array` packed."""
    shape = tuple(int(size) for size in value["shape"].split(","))
    return np.frombuffer(base64.b64decode(value["bdata"]), dtype=f"<{value['dtype']}").reshape(shape)


def _pack(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _pack(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_pack(item) for item in value]
    if isinstance(value, np.ndarray):
        if value.ndim >= 2:
            return to_typed_array(value)
        return np.ascontiguousarray(value) if value.ndim else value[()]
    return value


def _restore(value: Any) -> Any:
    if isinstance(value, dict):
        if value.keys() == {"dtype", "bdata", "shape"}:
            return from_typed_array(value)
        return {key: _restore(item) for key, item in value.items()}
    return [_restore(item) for item in value] if isinstance(value, list) else value
