"""One frame, one line: what is not finite is null, what is two-dimensional is a typed array."""

import json

import numpy as np
import pytest

from mhc_core.record import codec
from mhc_core.record.frames import Frame


def encode(**data: object) -> dict[str, object]:
    decoded: dict[str, object] = json.loads(codec.encode_frame(Frame("forward", data), "r", 3))
    return decoded


def test_a_line_has_its_run_its_index_and_its_type_first() -> None:
    line = codec.encode_frame(Frame("forward", {"layer": 2}), "abc", 7)
    assert line == b'{"run":"abc","index":7,"type":"forward","layer":2}\n'
    assert codec.frame_type(line) == "forward"


def test_what_is_not_finite_is_null() -> None:
    frame = encode(a=np.array([1.0, np.nan, np.inf]), b=float("nan"), c=np.float32("-inf"))
    assert (frame["a"], frame["b"], frame["c"]) == ([1.0, None, None], None, None)


def test_float32_keeps_its_short_form() -> None:
    line = codec.encode_frame(Frame("forward", {"a": np.array([0.1], dtype=np.float32)}), "r", 0)
    assert b"[0.1]" in line


@pytest.mark.parametrize("kind", ["f4", "f8", "i4", "u1"])
def test_matrices_are_typed_arrays_and_come_back(kind: str) -> None:
    matrix = np.arange(12, dtype=kind).reshape(3, 4)[:, ::-1]
    frame = codec.encode_frame(Frame("forward", {"h": matrix}), "r", 0)
    assert json.loads(frame)["h"]["shape"] == "3, 4"
    restored = codec.decode_line(frame)["h"]
    assert np.array_equal(restored, matrix)
    assert restored.dtype == np.dtype(kind)


def test_types_that_plotly_lacks_become_f8() -> None:
    packed = codec.to_typed_array(np.eye(2, dtype=np.int64))
    assert packed["dtype"] == "f8"
    assert np.array_equal(codec.from_typed_array(packed), np.eye(2))
