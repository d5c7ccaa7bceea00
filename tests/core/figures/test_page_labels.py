"""Labels that the page places: apart from each other and within the card, on wide and narrow ones."""

from itertools import pairwise
from typing import Any

import pytest

from mhc_core.figures.panel import View
from tests.core.figures.filled import COMPARISONS, encode_lines, fill_in_page, get_template, list_views

GAP, LETTER_PX, SHIFT_PX = (
    0.085,
    7.2,
    6,
)  # least distance in heights of the plot, width of a letter, and of a line's end
CASES = [(key, view) for key, view in list_views() if view.key != "tokens_bwd"]
IDS = [f"{key}-{view.key}" for key, view in CASES]


def list_shares(notes: list[dict[str, Any]], layout: dict[str, Any]) -> list[float]:
    """How high labels are, from 0 at the foot of the plot to 1."""
    low, high = layout["yaxis"]["range"]
    return sorted(note["y"] if "domain" in note["yref"] else (note["y"] - low) / (high - low) for note in notes)


@pytest.mark.sample("values", 11)
@pytest.mark.parametrize("narrow", [False, True], ids=["wide", "narrow"])
@pytest.mark.parametrize("comparison", COMPARISONS)
@pytest.mark.parametrize(("key", "view"), CASES, ids=IDS)
def test_labels_are_apart_and_within_the_card(key: str, view: View, comparison: str, narrow: bool) -> None:
    lines = encode_lines(comparison)
    (figure,) = fill_in_page(get_template(key, view, len(lines)), list(lines), [4], narrow=narrow)
    layout = figure["layout"]
    shown = [trace for trace in figure["data"] if trace.get("visible", True)]
    if "grid" in layout["meta"]:
        assert_cells_apart(layout, shown, narrow)
        return
    ends = [note for note in layout["annotations"] if note["xref"] == "x domain"]
    crosses = [note for note in layout["annotations"] if note["xref"] == "x"]
    for notes in (ends, crosses):
        shares = list_shares(notes, layout)
        assert all(0 <= share <= 1 for share in shares)
        assert all(above - below >= GAP - 1e-9 for below, above in pairwise(shares))
    assert all(SHIFT_PX + LETTER_PX * len(note["text"]) <= layout["margin"]["r"] for note in ends)
    named = {trace["name"].split(" ")[0] for trace in shown if trace["meta"]["end"]}
    said = " ".join(note["text"] for note in ends + crosses)
    assert all(letter in said for letter in named), "each run is named"


def assert_cells_apart(layout: dict[str, Any], shown: list[dict[str, Any]], narrow: bool) -> None:
    """Matrices share the card without overlap, one above the other where it is narrow, each below its run's name."""
    is_rows = narrow or layout["meta"]["grid"]["direction"] == "rows"
    axis = "yaxis" if is_rows else "xaxis"
    spans = sorted(layout[f"{axis}{trace['xaxis'][1:]}"]["domain"] for trace in shown)
    assert all(one[1] < other[0] for one, other in pairwise(spans))
    names = [note["text"] for note in layout["annotations"] if note.get("yshift") == 3]
    assert names == [trace["name"] for trace in shown]
