"""Steps of a trace that grows: what they say beside their metrics is checked as it comes."""

import json
from typing import Any

import pytest

from mhc_core.record.container_check import Checker
from mhc_core.spec import SpecError
from tests.watched import capture_lines

BROKEN: dict[str, tuple[tuple[str, ...], Any, str]] = {
    "another size before the layers": (("input", "act_rms_streams"), [1.0, 1.0], "input.act_rms_streams"),
    "one number before the layers": (("input", "act_rms_streams"), 1.0, "input.act_rms_streams"),
    "something else before the layers": (("input", "karma"), [1.0], "input.karma"),
    "markup in a story": (("story", "headline", "text"), "gain <script>", "story.headline.text"),
    "a long story": (("story", "headline", "text"), "x" * 3000, "story.headline.text"),
    "a story without findings": (("story", "findings"), None, "story.findings"),
}


def find_first_step() -> int:
    """Return the index of the first step frame."""
    return next(index for index, line in enumerate(capture_lines()) if b'"type":"step"' in line)


def take(change: tuple[tuple[str, ...], Any] | None) -> None:
    """Check the lines up to the first step, which is changed."""
    checker, first = Checker(only_traces=True), find_first_step()
    for index, line in enumerate(capture_lines()[: first + 1]):
        frame = json.loads(line)
        if index == first and change is not None:
            (*path, last), value = change
            part = frame
            for name in path:
                part = part[name]
            part[last] = value
        checker.take(json.dumps(frame).encode() + b"\n")


@pytest.mark.full
def test_the_step_that_they_were_made_of_is_taken() -> None:
    take(None)


@pytest.mark.parametrize("name", BROKEN)
def test_it_is_refused_by_its_field(name: str) -> None:
    path, value, field = BROKEN[name]
    with pytest.raises(SpecError) as refused:
        take((path, value))
    assert refused.value.field.startswith(f"frames[{find_first_step()}].{field}"), refused.value.field
