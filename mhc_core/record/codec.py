"""Encodes a frame as one line of JSON, and decodes it. A line is encoded once, in the worker, and then stored and sent
unchanged.
"""

from dataclasses import fields
from types import NoneType
from typing import Any

import numpy as np
import orjson

from mhc_core.record.frames import FRAME, AnyFrame, EndFrame
from mhc_core.record.packed import from_typed_array, to_typed_array
from mhc_core.record.summary import EndStatus
from mhc_core.record.values import ProtocolPart

__all__ = [
    "decode_line",
    "encode_end",
    "encode_frame",
    "frame_type",
    "from_typed_array",
    "to_fields",
    "to_json",
    "to_plain",
    "to_typed_array",
]

_TYPE_KEY = b'"type":"'
# Classes that orjson encodes directly; values of other classes are converted first.
_ENCODABLE = {str, int, float, bool, NoneType, np.float32, np.float64}
_FIELDS: dict[type, list[tuple[str, bool]]] = {}  # cache of `_list_fields` by class


def encode_frame(frame: AnyFrame, run_id: str, index: int) -> bytes:
    """Return a frame as a line of JSON, with the id of its run, its index and a newline.

    Arrays of one dimension become lists, with null for values that are not finite. Arrays of two or more dimensions
    become Plotly's typed arrays `{dtype, bdata, shape}`.
    """
    head = {"run": run_id, "index": index, "type": frame.type}
    return to_json({**head, **to_fields(frame)}) + b"\n"


def encode_end(run_id: str, index: int, status: EndStatus, reason: str | None) -> bytes:
    """Return the line of JSON that ends a run's log, with its status and reason."""
    return encode_frame(EndFrame(status=status, reason=reason), run_id, index)


def decode_line(line: bytes) -> AnyFrame:
    """Parse a line of JSON as a frame. Lists of numbers and typed arrays become numpy arrays.

    Unknown keys are ignored, because a later version may have written them.

    Raises
    ------
    ValueError
        If the line is not a frame: not JSON, of an unknown type, or with a value that its type does not allow.
    """
    return FRAME.validate_python(orjson.loads(line))


def frame_type(line: bytes) -> str:
    """Return the type of the frame in a line of JSON, read from its head without decoding the rest."""
    start = line.index(_TYPE_KEY) + len(_TYPE_KEY)
    return line[start : line.index(b'"', start)].decode()


def to_json(value: Any) -> bytes:
    """Return plain data, parts of frames and numpy arrays as JSON. Values that are not finite become null."""
    return orjson.dumps(to_plain(value), option=orjson.OPT_NON_STR_KEYS | orjson.OPT_SERIALIZE_NUMPY)


def to_fields(part: ProtocolPart) -> dict[str, Any]:
    """Return the fields of a frame, or of a part of one, that are encoded: all except optional ones that are None."""
    return {
        name: value
        for name, is_optional in _FIELDS.get(part.__class__) or _list_fields(part)
        if (value := getattr(part, name)) is not None or not is_optional
    }


def _list_fields(part: Any) -> list[tuple[str, bool]]:
    """List the names of the fields of a part, each with whether it is omitted if it is None."""
    found = [(field.name, field.default is None) for field in fields(part)]
    _FIELDS[type(part)] = found
    return found


def to_plain(value: Any) -> Any:
    """Convert a value to plain data in which arrays have one dimension; others become typed arrays."""
    if type(value) in _ENCODABLE:
        return value
    if isinstance(value, dict):
        return {key: item if type(item) in _ENCODABLE else to_plain(item) for key, item in value.items()}
    if isinstance(value, np.ndarray):
        if value.ndim >= 2:
            return to_typed_array(value)
        return np.ascontiguousarray(value) if value.ndim else value[()]
    if isinstance(value, ProtocolPart):
        return to_plain(to_fields(value))
    return [to_plain(item) for item in value] if isinstance(value, list | tuple) else value
