"""Names of models that are too long for a figure keep what tells them apart. `labels.test.js` reads the same list."""

import json
from pathlib import Path

import pytest

from mhc_core.figures.run_names import NAME_LENGTH, shorten_name, to_labels
from mhc_core.record.source import SpecSource

NAMES: list[tuple[str, int, str]] = json.loads(
    (Path(__file__).parent.parent.parent / "short_names.json").read_text(encoding="utf-8")
)


@pytest.mark.parametrize(("name", "most", "short"), NAMES)
def test_a_long_name_keeps_both_its_ends_or_its_last_part(name: str, most: int, short: str) -> None:
    assert shorten_name(name, most) == short
    assert len(short) <= most


def test_labels_hold_what_figures_have_room_for() -> None:
    long = "sentence-transformers/all-MiniLM-L6-v2-finetuned-on-everything"
    [first, second] = to_labels([long, long], {"B": "ours"})
    assert second == "B ours"
    assert len(first) == len("A ") + NAME_LENGTH
    assert first.startswith("A all-MiniLM")
    assert first.endswith("everything")


def test_a_run_of_a_connection_that_is_not_installed_here_has_its_kind_as_label() -> None:
    assert SpecSource(spec={"connection": {"kind": "of_someone_else"}}).label == "of_someone_else"
    assert SpecSource(spec={"connection": {"kind": "identity_hc"}}).label == "Identity HC"
