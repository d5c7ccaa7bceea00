"""One frame, one line: what is not finite is null, what is two-dimensional is a typed array."""

import json
import re
from typing import Any

import numpy as np
import pytest

from mhc_core.record import codec
from mhc_core.record.frames import FRAME_KINDS, EndFrame, ForwardFrame, SimilarityFrame, StepFrame
from mhc_core.record.values import Value


def build_frame(**values: Value) -> ForwardFrame:
    return ForwardFrame(layer=2, values=values, log10={}, status={})


def encode(**values: Value) -> dict[str, Any]:
    decoded: dict[str, Any] = json.loads(codec.encode_frame(build_frame(**values), "r", 3))["values"]
    return decoded


def test_a_line_has_its_run_its_index_and_its_type_first() -> None:
    line = codec.encode_frame(build_frame(), "abc", 7)
    assert line == b'{"run":"abc","index":7,"type":"forward","layer":2,"values":{},"log10":{},"status":{}}\n'
    assert codec.frame_type(line) == "forward"


def test_what_is_not_finite_is_null() -> None:
    values = encode(a=np.array([1.0, np.nan, np.inf]), b=float("nan"), c=np.float32("-inf"))
    assert (values["a"], values["b"], values["c"]) == ([1.0, None, None], None, None)


def test_float32_keeps_its_short_form() -> None:
    line = codec.encode_frame(build_frame(a=np.array([0.1], dtype=np.float32)), "r", 0)
    assert b"[0.1]" in line


@pytest.mark.parametrize("kind", ["f4", "f8", "i4", "u1"])
def test_matrices_are_typed_arrays_and_come_back(kind: str) -> None:
    matrix = np.arange(12, dtype=kind).reshape(3, 4)[:, ::-1]
    line = codec.encode_frame(build_frame(h=matrix), "r", 0)
    assert json.loads(line)["values"]["h"]["shape"] == "3, 4"
    frame = codec.decode_line(line)
    assert isinstance(frame, ForwardFrame)
    restored = frame.values["h"]
    assert isinstance(restored, np.ndarray)
    assert np.array_equal(restored, matrix)
    assert restored.dtype == np.dtype(kind)


def test_types_that_plotly_lacks_become_f8() -> None:
    packed = codec.to_typed_array(np.eye(2, dtype=np.int64))
    assert packed["dtype"] == "f8"
    assert np.array_equal(codec.from_typed_array(packed), np.eye(2))


def test_nested_lists_are_read_as_arrays() -> None:
    frame = codec.decode_line(line_of({"h": [[1, None], [2.5, 3]], "a": [None, 1], "b": None, "c": 2}))
    assert isinstance(frame, ForwardFrame)
    np.testing.assert_array_equal(frame.values["h"], [[1, np.nan], [2.5, 3]])
    np.testing.assert_array_equal(frame.values["a"], [np.nan, 1])
    assert (frame.values["b"], frame.values["c"]) == (None, 2)


def test_what_is_set_to_none_travels_only_where_it_has_no_default() -> None:
    end = json.loads(codec.encode_frame(EndFrame(status="done", reason=None), "r", 0))
    assert end == {"run": "r", "index": 0, "type": "end", "status": "done", "reason": None}
    row = json.loads(codec.encode_frame(SimilarityFrame(layer=0, cka=np.ones(1)), "r", 0))
    assert row.keys() == {"run", "index", "type", "layer", "cka"}


def test_a_status_by_layer_has_whole_numbers_as_keys_on_both_sides() -> None:
    frame = StepFrame(step=1, values={}, log10={}, status={"step_loss": "nan", "step_cka": {3: "constant"}})
    line = codec.encode_frame(frame, "r", 0)
    assert b'"status":{"step_loss":"nan","step_cka":{"3":"constant"}}' in line
    assert codec.decode_line(line) == frame


def line_of(values: Any, **fields: Any) -> bytes:
    frame = {"run": "r", "index": 0, "type": "forward", "layer": 0, "values": values, "log10": {}, "status": {}}
    return json.dumps(frame | fields).encode()


def test_keys_of_later_versions_are_passed_over() -> None:
    assert codec.decode_line(line_of({}, later=1)) == ForwardFrame(layer=0, values={}, log10={}, status={})


PACKED = {"dtype": "f4", "bdata": "AACAPwAAAEA=", "shape": "2"}


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (b"{", "unexpected end of data"),
        (line_of({}, type="forwards"), "'forwards' found using 'type' does not match any of the expected tags"),
        (b'{"type":"forward","layer":0}', "values\n  Field required"),
        (line_of({}, layer="first"), "layer\n  Input should be a valid integer"),
        (
            line_of({}, status={"act_rms": "lost"}),
            "Input should be 'overflow', 'underflow', 'constant', 'nan' or 'unknown'",
        ),
        (line_of({"a": "1.5"}), "a value is a number, null"),
        (line_of({"a": ["1.5"]}), "a list of values holds numbers and nulls"),
        (line_of({"a": [True]}), "a list of values holds numbers and nulls"),
        (line_of({"a": [[1], [1, 2]]}), "all input arrays must have the same shape"),
        (line_of({"a": PACKED | {"dtype": "O"}}), "a packed array has one of the types"),
        (line_of({"a": PACKED | {"shape": "3"}}), "a packed array of shape 3 has 2 values"),
        (line_of({"a": PACKED | {"shape": "-1"}}), "a packed array of shape -1 has 2 values"),
        (line_of({"a": PACKED | {"bdata": "AACAPw=A"}}), "not a packed array"),
    ],
)
def test_what_is_no_frame_is_refused(line: bytes, words: str) -> None:
    with pytest.raises(ValueError, match=re.escape(words)):
        codec.decode_line(line)


def test_every_kind_of_frame_is_told_apart_by_its_type() -> None:
    assert list(FRAME_KINDS) == [
        "start", "forward", "similarity", "loss", "backward", "mixing", "step", "jacobian", "progress", "bands",
        "summary", "recomputation", "atlas", "lens", "end",
    ]  # fmt: skip
    assert all(kind.__name__ == f"{name.title()}Frame" for name, kind in FRAME_KINDS.items())
