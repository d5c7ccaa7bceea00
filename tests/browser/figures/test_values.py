"""Numbers at the cursor: beside no curve, in no grid line and over no other number, wherever the cursor is."""

import pytest
from playwright.sync_api import Locator, expect

from tests.browser.conftest import OpenPage, wait_until_drawn

VIEW = "/#v=1&connection.init=mhc_lite&depth=24&width=16"
CARDS = ("gain", "activation", "gradient", "similarity", "streams")
LAYERS = (2, 5, 12, 20, 24)
# The boxes of the numbers and of the plot, what lies around them, and the points of curves nearest to the cursor.
LAID_OUT = """card => {
    const toBox = ({ left, right, top, bottom }) => ({ left, right, top, bottom });
    const plot = card.querySelector('.plot');
    const frame = plot.getBoundingClientRect();
    const { xaxis, yaxis } = plot._fullLayout;
    const place = Number(document.querySelector('#cursor').value);
    const points = plot._fullData.filter(({ visible, line }) => visible && line.width > 0).flatMap(({ x, y }) =>
        x.flatMap((at, index) => Math.abs(at - place) > 4 || y[index] === null ? [] : [{
            x: frame.left + xaxis._offset + xaxis.l2p(at),
            y: frame.top + yaxis._offset + yaxis.l2p(y[index]),
        }]));
    const words = (selector) => [...card.querySelectorAll(selector)].map((word) => toBox(word.getBoundingClientRect()));
    return {
        values: words('.cursor-value'),
        others: words('.annotation-text-g, .meaning, .card-head'),
        card: toBox(card.getBoundingClientRect()),
        plotTop: frame.top + yaxis._offset,
        points,
    };
}"""
SLACK_PX = 0.5
Box = dict[str, float]


def overlap(one: Box, other: Box) -> bool:
    """Whether two boxes have more than a border in common."""
    across = min(one["right"], other["right"]) - max(one["left"], other["left"])
    down = min(one["bottom"], other["bottom"]) - max(one["top"], other["top"])
    return across > SLACK_PX and down > SLACK_PX


def find_faults(card: Locator) -> list[str]:
    """What is wrong with the places of a card's numbers."""
    laid = card.evaluate(LAID_OUT)
    values = laid["values"]
    pairs = [(one, other) for index, one in enumerate(values) for other in [*values[index + 1 :], *laid["others"]]]
    hidden = [
        point
        for point in laid["points"]
        for box in values
        if box["left"] < point["x"] < box["right"] and box["top"] < point["y"] < box["bottom"]
    ]
    frame = laid["card"]
    return [
        *(["no number"] if len(values) < 3 else []),
        *(["no curve"] if len(laid["points"]) < 9 else []),
        *[f"{one} lies on {other}" for one, other in pairs if overlap(one, other)],
        *[f"a curve at {point} runs through a number" for point in hidden],
        *[
            f"{box} is in the plot, where grid lines are"
            for box in values
            if box["bottom"] > laid["plotTop"] + SLACK_PX
        ],
        *[f"{box} is cut off" for box in values if box["left"] < frame["left"] or box["right"] > frame["right"]],
    ]


@pytest.mark.full
@pytest.mark.parametrize("width", [390, 1440])
def test_numbers_at_the_cursor_lie_on_nothing(see_page: OpenPage, width: int) -> None:
    page = see_page(VIEW, width=width, height=844)
    slider = page.locator("#cursor")
    for panel in CARDS:
        card = page.locator(f"[data-panel={panel}]")
        card.scroll_into_view_if_needed()
        for layer in LAYERS:
            slider.fill(str(layer))
            expect(page.locator(".scrubber label").first).to_contain_text(f"Layer {layer} /")
            wait_until_drawn(page, panel)
            assert find_faults(card) == [], f"{panel}, layer {layer}"
