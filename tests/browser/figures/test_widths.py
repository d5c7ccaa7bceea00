"""Widths of the ribbons, as the picture draws them: HC's explosion is seen, and other runs stay as they are."""

import re

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import OpenPage, wait_until_done
from tests.browser.figures.test_picture import colors, take

pytestmark = pytest.mark.full

RESIDUAL, HC, MHC = range(3)


def widths_of(svg: str, color: str) -> list[list[float]]:
    """Widths of each ribbon of a colour at every state in pixels, without the glow around it."""
    fills = {color: color}
    for name, stop in re.findall(r'<linearGradient id="(\w+)".*?stop-color="(#\w+)"', svg, re.DOTALL):
        fills[f"url(#{name})"] = stop
    outlines = re.findall(r'<polygon points="([^"]*)" fill="([^"]*)" fill-opacity="([^"]*)"', svg)
    ribbons = []
    for points, fill, opacity in outlines:
        ys = [float(y) for y in points.split()[1::2]]
        if fills.get(fill) == color and float(opacity) > 0.3 and len(ys) > 4:
            count = len(ys) // 2
            ribbons.append([lower - upper for upper, lower in zip(ys[:count], reversed(ys[count:]), strict=True)])
    return ribbons


def widths_at(page: Page, drift: float) -> list[list[list[float]]]:
    """Widths of the ribbons of every run, once the slider has been let go at a drift."""
    slider = page.get_by_role("slider", name="Drift")
    slider.fill(str(round(drift / 0.05)))
    expect(slider).to_have_attribute("aria-valuetext", re.compile(rf"^{drift}"))
    wait_until_done(page)
    svg = take(page, "SVG")
    return [widths_of(svg, color) for color in colors("dark")]


def test_ribbons_of_hc_grow_hundredfold_on_the_first_screen(open_page: OpenPage) -> None:
    page = open_page(height=900)
    expect(page.get_by_role("switch", name="Logarithmic widths")).to_have_attribute("aria-checked", "false")
    ribbons = widths_of(take(page, "SVG"), colors("dark")[HC])
    assert [len(ribbon) for ribbon in ribbons] == 4 * [65], "the embedding and 64 layers, in four streams"
    widest, first = max(max(ribbon) for ribbon in ribbons), max(ribbon[1] for ribbon in ribbons)
    assert widest / first >= 100


def test_ribbons_of_residual_and_mhc_stay_as_wide_while_drift_moves(open_page: OpenPage) -> None:
    page = open_page(height=900)
    caption = page.locator(".picture-caption")
    expect(caption).not_to_contain_text("fades")
    drawn = {drift: widths_at(page, drift) for drift in (0.1, 0.3, 0.5)}
    for drift in (0.3, 0.5):
        for run in (RESIDUAL, MHC):
            for before, now in zip(drawn[0.1][run], drawn[drift][run], strict=True):
                assert max(abs(one - other) for one, other in zip(before, now, strict=True)) <= 0.1
    expect(caption).to_contain_text("Beyond 10 times the height of the card a ribbon fades.")
    assert widths_at(page, 0.1) == drawn[0.1]
    expect(caption).not_to_contain_text("fades")
    most = [max(max(ribbon) for ribbon in drawn[drift][HC]) for drift in (0.1, 0.3, 0.5)]
    assert most[0] < most[1] / 10 < most[2] / 50, "the same scale shows how HC grows with the drift"
