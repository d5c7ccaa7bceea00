"""Everyone can use the page: axe finds nothing on any page or in anything that opens, in both themes, on a phone."""

from collections.abc import Callable

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser.conftest import OpenPage, Watch, choose_more, create_link, open_settings
from tests.conftest import ROOT

AXE = ROOT / "static" / "node_modules" / "axe-core" / "axe.min.js"
LOOKS = [("light", 1440), ("dark", 390)]
FINDINGS = """async (part) => (await axe.run(part ?? document, {resultTypes: ['violations']})).violations
    .map(({id, help, nodes}) => `${id}: ${help}: ${nodes.map((node) => node.target.join(' ')).join(', ')}`)"""
SECTIONS = "mixing,similarity,training,cost,expert"
OPENED = "dialog[open], .popover:popover-open"

looks = pytest.mark.parametrize(("theme", "width"), LOOKS)


def audit(page: Page, where: str, part: Locator | None = None) -> None:
    """Fail with what axe has to say; evaluated over the debugger, for which the page's policy makes an exception.

    Of a page that has been audited it is enough to look at the part that is new.
    """
    if not page.evaluate("'axe' in window"):
        page.evaluate(AXE.read_text())
    assert (part.evaluate(FINDINGS) if part else page.evaluate(FINDINGS)) == [], where


def press(page: Page, name: str) -> None:
    """Click a button of the top bar, or an item of its menu."""
    button = page.locator(".topbar > button, .topbar nav button").get_by_text(name, exact=True).locator("visible=true")
    if button.count() > 0:
        button.click()
    else:
        choose_more(page, name)


def share(page: Page) -> str:
    """Open Share and say the snapshot's name."""
    return create_link(page).rsplit("/", 1)[1]


def verify(page: Page) -> None:
    """Open the table of a run's checks."""
    page.get_by_role("button", name="Verify run B HC").click()
    expect(page.locator(".verify tbody tr").first).to_be_visible(timeout=60_000)


@pytest.mark.full
@pytest.mark.parametrize(("theme", "width"), LOOKS[1:])  # the instrument is audited in the other too
def test_axe_finds_nothing_where_runs_train(open_page: OpenPage, theme: str, width: int) -> None:
    page = open_page(
        "/#v=1&runs=hc,mhc&depth=4&width=16&train.steps=3&step=2&interval=2-3&view.detail=interval&view.training=gain"
        "&open=mixing,training,cost",
        theme=theme,
        width=width,
    )
    page.locator("[data-panel=detail]").scroll_into_view_if_needed()
    audit(page, "a step and an interval chosen")
    page.get_by_role("button", name="Mixing matrix: more").click()
    page.get_by_role("button", name="Show as table").locator("visible=true").click()
    audit(page, "a product as a table", page.locator("[data-panel=detail]"))
    page.get_by_role("button", name="Cost: more").click()
    audit(page, "the menu of costs", page.locator(OPENED))


@pytest.mark.sample(2)
@looks
def test_axe_finds_nothing_on_the_instrument(see_page: OpenPage, theme: str, width: int) -> None:
    page = see_page(f"/#v=1&depth=8&layer=3&open={SECTIONS}", theme=theme, width=width)
    page.locator(".results-table [aria-expanded=false]").evaluate_all("all => all.forEach((opener) => opener.click())")
    expect(page.locator("tr.findings:visible")).to_have_count(3)
    open_settings(page)
    audit(page, "all settings and sections open")
    page.keyboard.press("Escape")


@pytest.mark.full
@looks
def test_axe_finds_nothing_in_what_opens(see_page: OpenPage, theme: str, width: int) -> None:
    page = see_page("/#v=1&depth=8&layer=3", theme=theme, width=width)
    opened: dict[str, Callable[[], None]] = {
        "help sheet": lambda: press(page, "Help"),
        "share": lambda: press(page, "Share"),
        "interface": lambda: press(page, "API"),
        "help": lambda: page.get_by_role("button", name="Gain, forward: what it shows").click(),
        "verification": lambda: verify(page),
        "presets": lambda: press(page, "Examples"),
        "more": lambda: page.get_by_role("button", name="More", exact=True).click(),
    }
    for name, act in opened.items():
        act()
        expect(page.locator(OPENED)).to_have_count(1)
        audit(page, name, page.locator(OPENED))
        for _ in range(2):  # on a phone a menu stands on the fold
            page.keyboard.press("Escape")
        expect(page.locator("dialog[open], .popover:popover-open")).to_have_count(0)
    page.get_by_role("button", name="Gain, forward: more").click()
    audit(page, "a card's menu", page.locator(OPENED))
    page.get_by_role("button", name="Show as table").locator("visible=true").click()
    expect(page.locator("[data-panel=gain] tbody tr")).to_have_count(8)
    audit(page, "table", page.locator("[data-panel=gain]"))
    page.get_by_role("button", name="Gain, forward: more").click()
    page.get_by_role("button", name="Show the figure").locator("visible=true").click()


@pytest.mark.full
@looks
def test_axe_finds_nothing_on_the_other_pages(open_page: OpenPage, watch: Watch, theme: str, width: int) -> None:
    watch.allow("status of 404")
    page = open_page("/#v=1&depth=8", theme=theme, width=width)
    name = share(page)
    page.goto(page.url.split("/#")[0] + f"/s/{name}")
    expect(page.locator(".banner")).to_contain_text("Snapshot from")
    audit(page, "stored view")
    for path, sign in {
        f"/embed/{name}?panel=cka&theme={theme}": "Layer similarity (CKA)",
        "/docs": "/api/v1/runs",
        "/nothing": "Page not found",
    }.items():
        other = open_page(path, theme=theme, width=width, wait=False)
        expect(other.locator("body")).to_contain_text(sign)
        expect(other.locator("[aria-busy=true], .loading:visible")).to_have_count(0)
        assert other.evaluate("document.documentElement.scrollWidth") <= width, path
        audit(other, path)


@pytest.mark.full
def test_axe_finds_nothing_where_something_is_wrong(open_page: OpenPage, watch: Watch) -> None:
    watch.allow("status of 422")
    page = open_page("/#v=1&depth=8&deptth=9&block.heads=7", wait=False)
    expect(page.locator(".banner.bad")).to_have_count(2)
    expect(page.locator(".plot-box.stale")).to_have_count(4)  # the runs of the opening view
    expect(page.locator(".results tr.stale")).to_have_count(3)
    audit(page, "refused")
