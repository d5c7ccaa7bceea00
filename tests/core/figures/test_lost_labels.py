"""Where curves are lost, a cross says what happened; of two that are lost near each other both can be read."""

from itertools import pairwise

import pytest

from mhc_core.figures.fill.labels import GAP, end_labels, find_lost, format_status, lost_labels, spread

COLOR = "#000000"


def _loss(point: int, share: float, text: str = "B HC: overflow at layer 5") -> dict[str, object]:
    return {"point": point, "x": point + 1, "share": share, "text": text, "middle": 5, "color": COLOR}


@pytest.mark.parametrize("shares", [[0.9, 0.9], [0.95, 0.94, 0.95], [0.0, 0.0], [0.5, 0.52], [0.79, 0.81]])
def test_labels_of_lost_curves_keep_their_distance(shares: list[float]) -> None:
    labels = lost_labels([_loss(4, share) for share in shares], (-2.0, 8.0), narrow=False)
    places = sorted((label["y"] + 2.0) / 10.0 for label in labels)
    assert all(b - a >= GAP - 1e-9 for a, b in pairwise(places))
    assert 0 <= places[0] <= places[-1] <= 1


@pytest.mark.parametrize(
    ("point", "text", "anchor"),
    [(2, "✕ B HC: overflow at layer 5", "left"), (7, "B HC: overflow at layer 5 ✕", "right")],
)
def test_the_cross_stands_at_the_point(point: int, text: str, anchor: str) -> None:
    [label] = lost_labels([_loss(point, 0.5)], (0.0, 1.0), narrow=False)
    assert (label["x"], label["text"], label["xanchor"]) == (point + 1, text, anchor)


def test_on_a_narrow_figure_the_letter_stands_for_the_run_and_what_happened_is_said() -> None:
    assert lost_labels([_loss(2, 0.5)], (0.0, 1.0), narrow=True)[0]["text"] == "✕ B overflow at layer 5"
    ends = [{"place": 1.0, "text": text, "color": COLOR} for text in ("B HC: nan", "C ours")]
    assert [label["text"] for label in end_labels(ends, narrow=True)] == ["B nan", "C"]


@pytest.mark.parametrize("noise", [0.0, 1e-7, -1e-7, 0.004, -0.004])
def test_names_of_lines_over_each_other_are_in_the_order_of_the_runs(noise: float) -> None:
    residual, hc, mhc = spread([0.02, 0.3, 0.02 + noise])
    assert hc > residual > mhc
    first, second = spread([1.0, 1.0 - noise])
    assert first > second
    apart = spread([0.02, 0.03])
    assert apart[1] > apart[0]


@pytest.mark.parametrize(("status", "word"), [("nan", "nan"), ("overflow", "overflow"), ("unknown", "not known")])
def test_what_was_not_heard_is_not_known_and_what_was_computed_is_told_as_it_is(status: str, word: str) -> None:
    cases: list[tuple[list[float | None], str]] = [
        ([1.0, None], f"{word} at layer 2"),
        ([None, 1.0], f"{word} up to layer 1"),
        ([None, None], word),
    ]
    for drawn, text in cases:
        lost = find_lost(drawn, {place: status for place, value in enumerate(drawn) if value is None})
        assert lost is not None
        assert lost["text"] == text
    assert format_status(status) == word
