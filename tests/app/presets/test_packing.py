"""Records are packed without loss: frames come back byte for byte, whatever their numbers are."""

import lzma

import numpy as np
import orjson
import pytest

from mhc_scope.presets.packing import pack, unpack

NUMBERS = np.random.default_rng(0).normal(size=512).astype(np.float32)
LISTS = {
    "float32": orjson.dumps(NUMBERS, option=orjson.OPT_SERIALIZE_NUMPY),
    "small and large": b"[1e-45,-3.4028235e38,0.0,-0.0,1.0,0.1,16777216.0,1e-7,2.0]",
    "float64": orjson.dumps(NUMBERS.astype(float).tolist()),
    "integers": b"[1,2,3,4,5,6,7,8,9]",
    "beyond float32": b"[1e39,1.0,1.0,1.0,1.0,1.0,1.0,1.0,1.0]",
    "null": b"[null,1.0,1.0,1.0,1.0,1.0,1.0,1.0,1.0]",
    "few": b"[1.0,2.0]",
    "nested": b"[[1.0,2.0,3.0,4.0,5.0,6.0,7.0,8.0],[1.0,2.0,3.0,4.0,5.0,6.0,7.0,8.5]]",
    "in a text": rb'"a [1.0,2.0,3.0,4.0,5.0,6.0,7.0,8.0] \u0000 b"',
}


@pytest.mark.parametrize("name", LISTS)
def test_a_frame_comes_back_byte_for_byte(name: str) -> None:
    lines = [b'{"values":{"a":' + LISTS[name] + b'},"status":{}}\n'] * 2
    assert unpack(pack(lines)) == lines


def test_all_lists_together_and_no_frame_at_all_come_back() -> None:
    lines = [b'{"a":' + text + b"}\n" for text in LISTS.values()]
    assert unpack(pack(lines)) == lines
    assert unpack(pack([])) == []


def test_numbers_take_fewer_bytes_than_their_digits() -> None:
    lines = [b'{"a":' + LISTS["float32"] + b"}\n"]
    assert len(pack(lines)) < 0.95 * len(lzma.compress(lines[0], preset=9))
