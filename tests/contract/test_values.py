"""What the comparison of two checkouts takes for equal, for wording, and for a difference."""

import base64
import io
import json
import math
from typing import Any

import numpy as np
import pytest

from tests.contract.checkouts import Answer
from tests.contract.files import read_csv, read_lines, read_npz
from tests.contract.report import Report
from tests.contract.values import compare, count_values


def pack(values: Any, kind: str = "f4") -> dict[str, str]:
    """As the API packs an array."""
    array = np.asarray(values, dtype=f"<{kind}")
    packed = {"dtype": kind, "bdata": base64.b64encode(array.tobytes()).decode()}
    return packed if array.ndim == 1 else packed | {"shape": ", ".join(map(str, array.shape))}


EQUAL: dict[str, tuple[Any, Any]] = {
    "a list for a packed array": (pack([[0.1, math.nan], [math.inf, -2.0]]), [[0.1, None], [None, -2]]),
    "a packed array for a list": ([1.5, None], pack([1.5, math.nan], "f8")),
    "single precision in full": (pack([0.1]), [float(np.float32(0.1))]),
    "packed twice": (pack([[math.inf, math.nan]]), pack([[math.inf, math.nan]], "f8")),
    "a whole number with a point": ({"x": 1}, {"x": 1.0}),
}


@pytest.mark.parametrize(("before", "after"), EQUAL.values(), ids=EQUAL)
def test_the_same_values_are_equal_however_they_are_encoded(before: Any, after: Any) -> None:
    assert list(compare(before, after)) == []


DIFFERENT: dict[str, tuple[Any, Any]] = {
    "one bit": (pack([1.0, 2.0], "f8"), pack([1.0, np.nextafter(2.0, 3.0)], "f8")),
    "one bit of a list": (pack([[0.1]], "f8"), [[0.1 + 2**-55]]),
    "the sign of zero": ([0.0], [-0.0]),
    "the sign of a packed zero": (pack([0.0]), pack([-0.0])),
    "a number for nan": (pack([math.nan]), [0.0]),
    "inf for nan": (pack([math.nan]), pack([math.inf])),
    "the shape": (pack([[1.0, 2.0]]), [[1.0], [2.0]]),
    "texts for numbers": (pack([1.0]), ["1"]),
    "true for 1": ({"x": 1}, {"x": True}),
    "null for 0": ({"x": 0}, {"x": None}),
    "a shorter list": ([1, 2], [1]),
    "a key that is gone": ({"x": 1}, {}),
    "a colour": ({"line": {"color": "#0f66b0"}}, {"line": {"color": "#0f66b1"}}),
    "a colour in a title": (
        {"title": {"text": "<b style='color:#aaa'>"}},
        {"title": {"text": "<b style='color:#bbb'>"}},
    ),
    "a number in a sentence": ({"text": "gain 1.23 at layer 3"}, {"text": "gain 1.24 at layer 3"}),
    "a sign in a sentence": ({"text": "loss −1"}, {"text": "loss 1"}),
    "a power in a sentence": ({"text": "10⁴"}, {"text": "10⁵"}),
    "a placeholder": ({"hovertemplate": "layer %{x}"}, {"hovertemplate": "layer %{y}"}),
    "a word that is data": ({"scale": "log"}, {"scale": "linear"}),
    "the text of an input": ({"input": {"text": "one"}}, {"input": {"text": "other"}}),
    "the source of a table's column": ({"table": [{"source": "layers"}]}, {"table": [{"source": "steps"}]}),
}


@pytest.mark.parametrize(("before", "after"), DIFFERENT.values(), ids=DIFFERENT)
def test_a_difference_is_found(before: Any, after: Any) -> None:
    assert [item.kind for item in compare(before, after)] == ["different"]


REWORDED = {
    "thrice the size at layer 4": "3 times larger at layer 4",
    "for layers 5-40": "in layers 5-40",
    "+1e+02 % for 5 layers": "+100 % in 5 layers",
    "goes from 1.5 to −2 × 10⁻³": "changes from 1.5 to -2 × 10⁻³",
}


@pytest.mark.parametrize(("before", "after"), REWORDED.items())
def test_other_words_with_the_same_numbers_are_listed_and_no_difference(before: str, after: str) -> None:
    report = Report()
    row = report.add("figures")
    row.take("one", {"text": before}, {"text": after})
    assert report.is_equal
    row.take("another", {"text": before.replace("5", "7")}, {"text": after.replace("5", "7")})
    assert list(row.wording.values()) == [2]
    assert "wording: 1 texts differ" in "\n".join(report.show())


def test_a_key_more_is_listed_where_answers_may_grow_and_a_difference_elsewhere() -> None:
    for may_grow in (True, False):
        report = Report()
        row = report.add("frames", may_grow)
        row.take("one", [{"x": 1}], [{"x": 1, "y": 2}])
        assert report.is_equal is may_grow
        assert row.added == ({"*.y": 1} if may_grow else {})


def test_what_is_ignored_is_no_difference_and_what_stands_beside_it_is() -> None:
    row = Report().add("runs", ignored=r"(?:^|\.)timings(?:\.|$)")
    row.take("one", {"timings": {"run_s": 1}, "frames": 3}, {"timings": {"run_s": 2}, "frames": 4})
    assert row.examples == {"frames": "one: frames: 3 -> 4"}


def test_a_refusal_is_no_answer_to_compare_and_other_statuses_differ() -> None:
    row = Report().add("answers")
    with pytest.raises(RuntimeError, match="404"):
        row.take_json("/nowhere", Answer(404, b"{}"), Answer(404, b"{}"))
    row.take_json("/here", Answer(200, b"{}"), Answer(500, b"crash"))
    row.take_json("/refused", Answer(422, b"{}"), Answer(422, b"{}"), refused=True)
    assert (row.compared, row.different) == (2, 1)


def test_values_are_counted_in_packed_arrays_too() -> None:
    assert count_values({"a": pack([[1, 2], [3, 4]]), "b": [1, None, "x"], "c": [[1], {"d": 2}]}) == 9


def test_files_are_read_as_columns() -> None:
    file = io.BytesIO()
    arrays: dict[str, Any] = {"layers.x": np.array([1.0, math.nan]), "meta": np.frombuffer(b'{"run": "r"}', np.uint8)}
    np.savez(file, **arrays)
    found = read_npz(file.getvalue())
    assert (found["meta"], found["layers.x"]["type"]) == ({"run": "r"}, "<f8")
    assert read_csv(b"# matrices are left out\nlayer,x\n0,1.5\n1,\n") == {"layer": ["0", "1"], "x": ["1.5", ""]}
    with pytest.raises(RuntimeError, match="failed"):
        read_lines(json.dumps({"type": "end", "status": "failed"}).encode())


def test_places_that_differ_in_many_items_are_listed_once() -> None:
    report = Report()
    row = report.add("figures")
    for index in range(3):
        row.take(f"figure {index}", {"data": [{"y": [1, 2]}]}, {"data": [{"y": [3, 4]}]})
    row.take("figure 3", {"data": []}, {"data": []})
    assert (row.compared, row.different, row.differences) == (4, 3, {"data.*.y.*": 6})
    assert "data.*.y.* (6), first figure 0: data.0.y.0: 1 -> 3" in "\n".join(report.show())
    assert report.to_plain()[0]["different"] == 3
