"""What the comparison with a release takes for equal, for wording, and for a difference."""

import base64
import math
from typing import Any

import numpy as np
import pytest

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
def test_other_words_with_the_same_numbers_are_no_difference(before: str, after: str) -> None:
    assert [item.kind for item in compare({"text": before}, {"text": after})] == ["wording"]


def test_a_key_more_is_told_apart_from_a_difference() -> None:
    assert [(item.kind, item.path) for item in compare([{"x": 1}], [{"x": 1, "y": 2}])] == [("added", "0.y")]


def test_values_are_counted_in_packed_arrays_too() -> None:
    assert count_values({"a": pack([[1, 2], [3, 4]]), "b": [1, None, "x"], "c": [[1], {"d": 2}]}) == 9
