"""Arrays in Plotly's packed form, `{dtype, bdata, shape}`, which has a third of the size of nested lists."""

import base64
import binascii
import math

import numpy as np
from pydantic import with_config
from typing_extensions import TypedDict

# Plotly's names of the types that it can decode. Arrays of other types are converted to f8.
PLOTLY_TYPES = {"f4", "f8", "i1", "u1", "i2", "u2", "i4", "u4"}

MAX_AXES = 4  # arrays in frames and results have at most the axes (K, L, n, n)


@with_config(use_attribute_docstrings=True)
class PackedArray(TypedDict):
    """An array as Plotly packs it: little-endian values in base64, row by row."""

    dtype: str
    """f4, f8, i1, u1, i2, u2, i4 or u4."""
    bdata: str
    shape: str
    """Sizes of the axes, separated by commas."""


def to_typed_array(array: np.ndarray) -> PackedArray:
    """Return an array in Plotly's packed form: type, base64 of its little-endian bytes, shape."""
    kind = array.dtype.str[1:]
    if kind not in PLOTLY_TYPES:
        kind = "f8"
    packed = np.ascontiguousarray(array, dtype=f"<{kind}")
    shape = ", ".join(str(size) for size in array.shape)
    return {"dtype": kind, "bdata": base64.b64encode(packed.tobytes()).decode(), "shape": shape}


def from_typed_array(value: PackedArray) -> np.ndarray:
    """Return the numpy array that `to_typed_array` packed.

    Raises
    ------
    ValueError
        If the parts do not describe an array.
    """
    if value["dtype"] not in PLOTLY_TYPES:
        raise ValueError(f"a packed array has one of the types {', '.join(sorted(PLOTLY_TYPES))}")
    if value["shape"].count(",") >= MAX_AXES:
        raise ValueError(f"a packed array has at most {MAX_AXES} axes")
    try:
        shape = tuple(int(size) for size in value["shape"].split(","))
        flat = np.frombuffer(base64.b64decode(value["bdata"], validate=True), dtype=f"<{value['dtype']}")
    except (binascii.Error, ValueError) as error:
        raise ValueError(f"not a packed array: {error}") from None
    if min(shape) < 0 or math.prod(shape) != flat.size:
        raise ValueError(f"a packed array of shape {value['shape']} has {flat.size} values")
    return flat.reshape(shape)
