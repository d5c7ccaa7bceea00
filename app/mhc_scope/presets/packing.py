"""Compress encoded frames, which consist mostly of long lists of numbers.

Decimal digits compress badly. Lists of numbers are therefore removed from their lines and stored as float32, or as
float64 if float32 is not exact: the first bytes of all numbers, then all second bytes, and so on, because signs and
exponents of neighbours are similar. A list whose text could not be restored exactly, such as one with null, stays in
its line.
"""

import re
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any

import brotli
import numpy as np
import orjson

# A list of at least four numbers, and nothing else.
_LIST = re.compile(rb"\[[-+.0-9eE]+(?:,[-+.0-9eE]+){3,}\]")
# Mark that replaces a list, by type of its numbers. JSON has no such bytes outside strings and escapes them inside.
_TYPES: dict[bytes, np.dtype[Any]] = {b"\x00": np.dtype("<f4"), b"\x01": np.dtype("<f8")}
_ANY_MARK = re.compile(b"[\x00\x01]")
_COUNT = np.dtype("<u4")


def pack(lines: Sequence[bytes]) -> bytes:
    """Return encoded frames, each with its line end, in the form that `unpack` reads."""
    lists: dict[bytes, list[np.ndarray]] = {mark: [] for mark in _TYPES}

    def take_out(found: re.Match[bytes]) -> bytes:
        """Move a list of numbers from the text to `lists`, and return the mark that replaces it."""
        for mark, number in _TYPES.items():
            with np.errstate(over="ignore"):  # the comparison below finds such a list
                values = np.array(orjson.loads(found[0]), dtype=number)
            if _encode(values) == found[0]:
                lists[mark].append(values)
                return mark
        return found[0]

    parts = [_LIST.sub(take_out, b"".join(lines))]
    for mark, number in _TYPES.items():
        values = np.concatenate([*lists[mark], np.empty(0)]).astype(number)
        lengths = np.array([len(each) for each in lists[mark]], dtype=_COUNT)
        planes = np.frombuffer(values.tobytes(), dtype=np.uint8)
        parts += [lengths.tobytes(), planes.reshape(-1, number.itemsize).T.tobytes()]
    sizes = np.array([len(part) for part in parts], dtype=_COUNT).tobytes()
    # As small as with xz, and decompressed three times as fast.
    return brotli.compress(b"".join([sizes, *parts]), quality=11)


def unpack(packed: bytes) -> list[bytes]:
    """Return the encoded frames that `pack` has compressed, equal byte for byte."""
    content: bytes = brotli.decompress(packed)
    begin = (1 + 2 * len(_TYPES)) * _COUNT.itemsize
    ends = begin + np.cumsum(np.frombuffer(content[:begin], dtype=_COUNT))
    text, *parts = (content[start:end] for start, end in zip((begin, *ends), ends, strict=False))
    lists: dict[bytes, Iterator[np.ndarray]] = {}
    for (mark, number), counted, planes in zip(_TYPES.items(), parts[::2], parts[1::2], strict=True):
        lengths = np.frombuffer(counted, dtype=_COUNT)
        columns = np.frombuffer(planes, dtype=np.uint8).reshape(number.itemsize, -1)
        values = np.ascontiguousarray(columns.T).view(number).ravel()
        places = pairwise([0, *np.cumsum(lengths).tolist()])
        lists[mark] = iter([values[first:last] for first, last in places])
    restored = _ANY_MARK.sub(lambda found: _encode(next(lists[found[0]])), text)
    return restored.splitlines(keepends=True)


def _encode(values: np.ndarray) -> bytes:
    return orjson.dumps(values, option=orjson.OPT_SERIALIZE_NUMPY)
