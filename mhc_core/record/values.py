"""The parts of frames: values, their logarithms and statuses.

Shapes, here and in all frames: L layers, n streams, S training steps, K steps whose matrices are kept.
"""

from types import NoneType
from typing import Annotated, Any, TypedDict

import numpy as np
from pydantic import ConfigDict, PlainValidator
from typing_extensions import TypeAliasType

from mhc_core.metric import Status
from mhc_core.record.packed import MAX_AXES, PackedArray, from_typed_array

LayerStatus = dict[int, Status]  # by layer from 0; only layers that have one

_PACKED_KEYS = {"dtype", "bdata", "shape"}
_NUMBERS = {float, int, NoneType}


class ProtocolPart:
    """A part of the protocol: a frozen dataclass whose docstrings become the descriptions in the JSON schema.

    A field whose default is None is encoded only if it is set. A field without a default is always encoded.
    """

    __slots__ = ()
    __pydantic_config__ = ConfigDict(use_attribute_docstrings=True)


def parse_value(value: Any) -> Any:
    """Parse a value of a frame's JSON: lists and packed arrays become arrays, in which null is nan. Numbers, None and
    numpy arrays do not change.

    Raises
    ------
    ValueError
        If it is anything else.
    """
    if type(value) in _NUMBERS or isinstance(value, np.ndarray | np.floating):
        return value
    if isinstance(value, list):
        return _parse_list(value)
    if isinstance(value, dict) and value.keys() == _PACKED_KEYS and all(isinstance(v, str) for v in value.values()):
        return from_typed_array(value)  # type: ignore[arg-type]
    raise ValueError("a value is a number, null, a list of them, lists of such lists, or a packed array")


def parse_row(value: Any) -> np.ndarray:
    """Parse a value that is an array of one dimension.

    Raises
    ------
    ValueError
        If it is anything else.
    """
    row = parse_value(value)
    if not isinstance(row, np.ndarray) or row.ndim != 1:
        raise ValueError("a row is a list of numbers and nulls")
    return row


def _parse_list(items: list[Any], axes: int = 1) -> np.ndarray:
    """Parse nested lists of numbers and nulls as an array in float64; null becomes nan."""
    kinds = set(map(type, items))
    if kinds <= _NUMBERS:
        return np.array(items, dtype=np.float64)
    if kinds != {list} or axes == MAX_AXES:
        raise ValueError("a list of values holds numbers and nulls, or lists of the same length")
    return np.stack([_parse_list(item, axes + 1) for item in items])


Row = TypeAliasType("Row", Annotated[Any, PlainValidator(parse_row, json_schema_input_type=list[float | None])])
Numbers = TypeAliasType("Numbers", Row | list[Row] | list[list[Row]])
# `Any` for the type checker: whether it is a number, None or an array depends on the key (`METRICS[key].shape`).
Value = TypeAliasType(
    "Value",
    Annotated[
        Any,
        PlainValidator(parse_value, json_schema_input_type=float | Numbers | PackedArray | None),
    ],
)
Values = dict[str, Value]  # by key of the metric


class LayerGroup(TypedDict):
    """The measurements of one layer in a frame: three parallel dicts by key of the metric."""

    values: Values
    log10: Values
    status: dict[str, Status]


class ColumnGroup(TypedDict):
    """The measurements of all layers in a frame: values have one entry per layer, and a status is by layer."""

    values: Values
    log10: Values
    status: dict[str, LayerStatus]
