"""Pack encoded frames into few bytes: most of a record is long lists of float32 numbers.

Decimal digits compress badly. A list of numbers is taken out of its line and stored as float32, all first bytes of the
numbers, then all second ones, and so on: signs and exponents of neighbours are alike. A list whose text would come
back different, such as one with null, stays in its line.
"""

import lzma
import re
from collections.abc import Sequence

import numpy as np
import orjson

# A list of at least eight numbers, and nothing else.
_LIST = re.compile(rb"\[[-+.0-9eE]+(?:,[-+.0-9eE]+){7,}\]")
# Takes the place of a list; JSON has no such byte outside strings, and escapes it within them.
_MARK = b"\x00"
_COUNT, _NUMBER = np.dtype("<u4"), np.dtype("<f4")


def pack(lines: Sequence[bytes]) -> bytes:
    """Return encoded frames, each with its line end, in the form that `unpack` reads."""
    lists: list[np.ndarray] = []

    def take_out(found: re.Match[bytes]) -> bytes:
        with np.errstate(over="ignore"):  # such a list comes back different
            values = np.array(orjson.loads(found[0]), dtype=np.float32)
        if _encode(values) != found[0]:
            return found[0]
        lists.append(values)
        return _MARK

    text = _LIST.sub(take_out, b"".join(lines))
    lengths = np.array([len(values) for values in lists], dtype=_COUNT).tobytes()
    planes = np.concatenate([*lists, np.empty(0)]).astype(_NUMBER).view(np.uint8).reshape(-1, _NUMBER.itemsize).T
    sizes = np.array([len(text), len(lengths)], dtype=_COUNT).tobytes()
    return lzma.compress(b"".join([sizes, text, lengths, planes.tobytes()]), preset=9 | lzma.PRESET_EXTREME)


def unpack(packed: bytes) -> list[bytes]:
    """Return the encoded frames of `pack`, equal byte for byte."""
    content = lzma.decompress(packed)
    begin = 2 * _COUNT.itemsize
    text_size, lengths_size = map(int, np.frombuffer(content[:begin], dtype=_COUNT))
    middle = begin + text_size
    text, end = content[begin:middle], middle + lengths_size
    lengths = np.frombuffer(content[middle:end], dtype=_COUNT)
    planes = np.frombuffer(content[end:], dtype=np.uint8).reshape(_NUMBER.itemsize, -1)
    values = np.ascontiguousarray(planes.T).view(_NUMBER).ravel().astype(np.float32)
    lists = iter(np.split(values, np.cumsum(lengths)[:-1]))
    first, *others = text.split(_MARK)
    restored = b"".join([first, *(_encode(next(lists)) + other for other in others)])
    return restored.splitlines(keepends=True)


def _encode(values: np.ndarray) -> bytes:
    return orjson.dumps(values, option=orjson.OPT_SERIALIZE_NUMPY)
