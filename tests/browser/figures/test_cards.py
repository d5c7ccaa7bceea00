"""Single cards of the page: what each shows beyond its curves."""

import json
import re
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Locator, Page, expect

from mhc_core.families import FAMILIES
from mhc_core.spec import parse_spec
from tests.browser.conftest import (
    OpenPage,
    Watch,
    open_section_of,
    read_result,
    type_setting,
    wait_until_done,
    wait_until_drawn,
)
from tests.conftest import Server

pytestmark = pytest.mark.full


def card_of(page: Page, panel: str) -> Locator:
    """A panel's card, in sight and drawn."""
    open_section_of(page, panel)
    card = page.locator(f"[data-panel={panel}]")
    card.scroll_into_view_if_needed()
    expect(card.locator(".plot .main-svg").first).to_be_visible()
    return card


def to_number(cell: str) -> float:
    """A cell as the page writes numbers, such as 5.2×10⁻⁴."""
    digits, _, power = cell.partition("×10")
    return float(digits) * 10 ** float(power.translate(str.maketrans("⁻⁰¹²³⁴⁵⁶⁷⁸⁹", "-0123456789")) or 0)


def show_table(page: Page, card: Locator) -> list[list[str]]:
    """The rows of a card's table, which its menu shows."""
    card.hover()
    card.get_by_role("button", name=re.compile(": more$")).click()
    page.get_by_role("button", name="Show as table").locator("visible=true").click()
    return [row.locator("th, td").all_text_contents() for row in card.locator("tbody tr").all()]


def test_effective_skip_connections_of_a_residual_and_a_plain_stack(open_page: OpenPage) -> None:
    page = open_page("/#v=1&depth=8&layer=4&runs=residual,none&block.kind=mlp")
    rows = show_table(page, card_of(page, "unfolded"))
    assert rows == [
        ["embedding", "1", "0"],
        ["layer 1", "1", "0"],
        ["layer 2", "1", "0"],
        ["layer 3", "1", "1"],
    ]


def test_hovering_a_map_gives_the_weight_itself(open_page: OpenPage) -> None:
    page = open_page("/#v=1&depth=8&runs=residual")
    card = card_of(page, "unfolded")
    card.scroll_into_view_if_needed()
    wait_until_drawn(page, "unfolded")  # a figure above that comes later would move it away from the pointer
    box = card.locator(".plot .nsewdrag").first.bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + 0.3 * box["width"], box["y"] + 0.8 * box["height"])
    label = page.locator("[data-panel=unfolded] .hoverlayer .hovertext")
    expect(label).to_contain_text("layer 7 reads output 2")
    expect(label).to_contain_text("weight 1")


@pytest.mark.full
def test_hovering_a_map_gives_negative_weights_with_a_true_minus(open_page: OpenPage) -> None:
    page = open_page("/#v=1&depth=8&runs=hc&connection.noise=1&seed=1")
    card = card_of(page, "unfolded")
    card.scroll_into_view_if_needed()
    wait_until_drawn(page, "unfolded")
    box = card.locator(".plot .nsewdrag").first.bounding_box()
    assert box is not None
    label = page.locator("[data-panel=unfolded] .hoverlayer .hovertext")
    said = []
    for output in range(1, 8):  # the last layer reads them all; its row is the lowest
        page.mouse.move(box["x"] + (output + 0.5) / 8 * box["width"], box["y"] + 0.95 * box["height"])
        expect(label).to_contain_text(f"output {output}")
        said.append(label.text_content() or "")
    assert not any("-" in text for text in said), said
    assert any("weight −" in text for text in said), said


def test_the_caption_of_a_card_is_that_of_the_view_that_it_shows(open_page: OpenPage) -> None:
    card = card_of(open_page("/#v=1&depth=8&width=16"), "similarity")
    caption = card.locator(".meaning")
    expect(caption).to_contain_text("consecutive layers' inputs")
    card.get_by_role("button", name="tokens", exact=True).click()
    expect(caption).to_contain_text("Mean cosine similarity of the tokens' inputs")
    expect(card.locator(".unit")).to_have_text("mean over pairs of tokens")


def test_theory_is_next_to_measurement_or_says_why_not(see_page: OpenPage) -> None:
    page = see_page("/#v=1&depth=8")
    card = card_of(page, "theory")
    notes = card.locator(".theory-notes dd")
    expect(notes).to_have_count(3)
    expect(notes.nth(0)).to_contain_text("Doubly stochastic. At every step")
    expect(notes.nth(0)).to_contain_text("8 of 8 layers are inside the band")
    expect(notes.nth(1)).to_contain_text("Drift gain.")
    card.get_by_role("button", name="activation").click()
    expect(notes.nth(0)).to_have_text("No prediction. Block is Transformer; theory needs mlp.")
    expect(notes.nth(1)).to_contain_text("Drift σ is 0.3; theory needs 0")
    expect(card.locator(".plot")).to_contain_text("No theory applies to these runs.")
    card.get_by_role("button", name="gain, forward").click()
    beside, figure = (card.locator(part).bounding_box() for part in (".theory-notes", ".plot-box"))
    assert beside is not None
    assert figure is not None
    assert beside["x"] >= figure["x"] + figure["width"]
    assert figure["width"] > beside["width"] > 200


def test_a_view_in_which_laws_apply_is_one_press_away(open_page: OpenPage) -> None:
    page = open_page("/#v=1&depth=8")
    card = card_of(page, "theory")
    card.get_by_role("button", name="Show an example").click()
    wait_until_done(page)
    for view in ("activation", "gradient"):
        card.get_by_role("button", name=view).click()
        for run in (0, 1, 3):
            expect(card.locator(".theory-notes dd").nth(run)).to_contain_text(
                re.compile(r"(\d+) of \1 layers are inside")
            )
    rows = show_table(page, card)
    assert len(rows) == 64
    assert all("…" in row[2] for row in rows), "the law of the first run stands beside its column"
    assert page.evaluate("location.pathname") == "/p/laws"


def test_gates_have_a_card_only_where_a_run_has_gates(open_page: OpenPage, server: Server) -> None:
    body = {"depth": 3, "width": 80, "connection": {"kind": "gated"}}
    page = open_page("/#v=1&depth=3&width=80&layer=2&runs=gated,mhc&open=mixing")
    card = card_of(page, "gates")
    expect(card.locator(".plot")).to_contain_text("mHC: No gates: layers read whole streams.")
    for view in ("own range", "spread over tokens"):
        card.get_by_role("button", name=view).click()
        wait_until_drawn(page, "gates")
    spreads = read_result(server, parse_spec(body)).matrices["gates_std"][1]
    assert spreads.max() > 2 * spreads.min(), "rows and columns in another order have other numbers"
    rows = show_table(page, card)
    assert [int(row[0]) for row in rows] == [1 + place * 80 // 64 for place in range(64)]
    for row, spread in zip(rows, spreads.T, strict=True):
        assert [to_number(cell) for cell in row[5:9]] == pytest.approx(spread.tolist(), rel=0.01)
    page = open_page("/#v=1&depth=3&width=80&runs=mhc&open=mixing")
    expect(page.locator("#panel-mixing")).to_be_attached()
    expect(page.locator("#panel-gates")).to_have_count(0)


def test_a_table_of_several_seeds_holds_what_the_curve_shows(open_page: OpenPage, server: Server) -> None:
    body = {"depth": 6, "width": 16, "seeds": 3, "connection": {"kind": "hc"}}
    page = open_page("/#v=1&depth=6&width=16&seeds=3&runs=hc")
    card = card_of(page, "activation")
    rows = show_table(page, card)
    head = card.locator("table.numbers thead th").all_text_contents()
    result = read_result(server, parse_spec(body))
    for name, expected in (
        ("median of 3 seeds", 10 ** result.bands["act_rms"]["p50"]),
        ("first seed", result.layers["act_rms"]),
    ):
        (place,) = (index for index, title in enumerate(head) if title.endswith(f"rms, {name}"))
        shown = [float(row[place]) for row in rows]
        assert shown == pytest.approx(list(expected), rel=1e-3)


def show_costs(page: Page) -> None:
    """Turn the cost card from its figure to its tables."""
    card = page.locator(".cost-card")
    expect(card.locator(".cost-figure .main-svg").first).to_be_attached()
    card.get_by_role("button", name="Cost: more").click()
    page.get_by_role("button", name="Show as table").locator("visible=true").click()


def cost_rows(page: Page) -> dict[str, list[str]]:
    """The cost card's own table, by connection: the numbers and what they are above the residual connection's."""
    rows = page.locator(".cost-card table").first.locator("tbody tr").all()
    return {
        re.sub(r" [A-D].*", "", row.locator("th").inner_text().strip()): row.locator("td").all_inner_texts()
        for row in rows
    }


def test_costs_are_those_of_the_interface_and_follow_the_view(open_page: OpenPage, server: Server) -> None:
    page = open_page("/#v=1&depth=8&connection.streams=2&open=cost")
    show_costs(page)
    rows = cost_rows(page)
    found = httpx.post(f"{server.api}/costs", json={"depth": 8, "connection": {"streams": 2}}).json()
    allowed = [family for family in FAMILIES.values() if family.rule(2, 64) is None]
    assert len(rows) == len(found) == len(allowed)
    by_kind = {item["connection"]: item for item in found}
    added = by_kind["mhc"]["bytes_moved"] / by_kind["residual"]["bytes_moved"] - 1
    assert re.search(rf"\+{100 * added:.0f} %", rows["mHC"][2])
    assert "±0 %" in rows["Residual"][2]
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.post_data or "") if "/costs" in request.url else None)
    type_setting(page, "Streams", 3)
    expect(page.locator(".cost-card")).to_contain_text("KromHC, Frac, oHC: not possible with these settings.")
    assert cost_rows(page)["mHC"] != rows["mHC"]
    assert len(asked) == 1
    assert '"streams":3' in asked[0]


def test_costs_that_could_not_be_asked_for_come_with_the_network(open_page: OpenPage, watch: Watch) -> None:
    watch.allow("ERR_INTERNET_DISCONNECTED")
    page = open_page("/#v=1&depth=8&open=cost")
    show_costs(page)
    card, before = page.locator(".cost-card"), cost_rows(page)
    type_setting(page, "Streams", 2)
    page.context.set_offline(True)
    expect(card.get_by_role("alert")).to_contain_text("The server cannot be reached")
    page.context.set_offline(False)
    expect(card.get_by_role("alert")).to_have_count(0)
    expect(page.locator(".cost-parts.stale")).to_have_count(0)
    assert cost_rows(page)["mHC"] != before["mHC"]


def test_the_overhead_that_the_paper_reports_is_marked_and_linked(see_page: OpenPage) -> None:
    page = see_page("/#v=1&depth=8&open=cost")
    card = page.locator(".cost-card")
    expect(card).to_contain_text("The paper reports +6.7 % time")
    expect(card).to_contain_text(re.compile(r"Here, on one CPU core without fused kernels: \+[\d.]+\s% time"))
    expect(card.locator(".paper-claim a")).to_have_attribute("href", "https://arxiv.org/abs/2512.24880")
    expect(card.locator(".cost-figure")).to_contain_text("6.7 % time: mHC in the paper")
    show_costs(page)
    models = card.locator("table").nth(1).locator("tbody th")
    assert models.all_inner_texts() == ["3B", "9B", "27B"]


def test_a_refusal_of_costs_is_shown(open_page: OpenPage, watch: Watch) -> None:
    watch.allow("422")
    page = open_page("/#v=1&depth=8&block.scaling=deepnorm&open=cost", wait=False)
    expect(page.locator(".cost-card [role=alert]")).to_contain_text("deepnorm")


def test_products_of_mixing_follow_cursor_and_interval(open_page: OpenPage) -> None:
    page = open_page("/#v=1&runs=hc,mhc&depth=8&width=16&layer=3&open=mixing")
    card = page.locator("[data-panel=detail]")
    title = card.get_by_role("heading")
    expect(title).to_have_text("Mixing matrix, layer 3")
    card.get_by_role("button", name="product so far").click()
    expect(title).to_have_text("Mixing matrix, layers 1–3")
    page.wait_for_url("**/#*layer=3&view.detail=up_to*")
    wait_until_done(page)

    def gain() -> str:
        wait_until_drawn(page, "detail")
        texts = card.locator(".plot").evaluate("plot => [plot.layout.xaxis.title.text, plot.layout.xaxis2.title.text]")
        return str(texts[0])

    def at_cursor(panel: str) -> float:
        return float(page.locator(f"#panel-{panel} .at-cursor b").first.inner_text().replace(",", ""))

    def gains() -> list[float]:
        return [float(text) for text in re.findall(r"gain . ([\d.]+)", gain())]

    up_to = gains()[0]
    assert up_to == pytest.approx(at_cursor("gain"), rel=0.01)
    card.get_by_role("button", name="product to the end").click()
    expect(title).to_have_text("Mixing matrix, layers 3–8")
    wait_until_done(page)
    assert gains()[1] == pytest.approx(at_cursor("gain_bwd"), rel=0.01)

    card.get_by_role("button", name="custom range").click()
    expect(title).to_have_text("Mixing matrix, layers 1–8")
    page.get_by_label("to layer").fill("3")
    page.get_by_label("to layer").press("Enter")
    expect(title).to_have_text("Mixing matrix, layers 1–3")
    page.wait_for_url("**/#*interval=1-3&view.detail=interval*")
    wait_until_done(page)
    assert gains()[0] == up_to
    page.get_by_label("from layer").fill("5")
    page.get_by_label("from layer").press("Enter")
    expect(title).to_have_text("Mixing matrix, layers 5–5")
    page.get_by_label("to layer").fill("99")
    page.get_by_label("to layer").press("Enter")
    expect(page.get_by_label("to layer")).to_have_value("5")
    page.reload()
    wait_until_done(page)
    expect(title).to_have_text("Mixing matrix, layers 5–5")
    expect(card.get_by_role("button", name="custom range")).to_have_attribute("aria-pressed", "true")


def test_a_product_beyond_float64_has_its_numbers(open_page: OpenPage) -> None:
    page = open_page("/#v=1&runs=hc&depth=400&width=16&connection.noise=10&layer=400&view.detail=up_to")
    card = page.locator("[data-panel=detail]")
    wait_until_drawn(page, "detail")
    shown = card.locator(".plot").evaluate(
        "plot => [plot.data[0].text.flat(), plot.layout.xaxis.title.text, [...plot.data[0].z[0]], plot.data[0].name]"
    )
    assert all(re.fullmatch(r"−?\d\.\d\d", text) for text in shown[0])
    assert re.fullmatch(r"A HC ×10\S{3,}", shown[3]), "the power of ten that all numbers have"
    assert re.match(r"gain → [\d.]+×10\S{3,}<br>gain ← [\d.]+×10\S{3,}$", shown[1])
    assert all(abs(value) > 308 for value in shown[2])
    card.get_by_role("button", name="Mixing matrix: more").click()
    card.get_by_role("button", name="Show as table").click()
    expect(card.locator("tbody tr")).to_have_count(5)
    expect(card.locator("tbody td").first).to_contain_text("×10")


def test_the_cost_card_gives_its_numbers_and_its_figure(open_page: OpenPage, server: Server) -> None:
    page = open_page("/#v=1&depth=8&width=32&open=cost")
    menu = page.get_by_role("button", name="Cost: more")

    def take(title: str) -> str:
        menu.click()
        with page.expect_download() as download:
            page.locator(".cost-card").get_by_role("button", name=title).click()
        return Path(download.value.path()).read_text()

    spec = {"depth": 8, "width": 32}
    assert take("CSV") == httpx.post(f"{server.api}/costs.csv", json=spec).text
    figure = json.loads(take("JSON"))
    assert figure == httpx.post(f"{server.api}/costs/figure", json=spec, params={"theme": "dark"}).json()
    picture = take("SVG")
    assert picture.startswith("<svg")
    assert "memory traffic" in picture
    assert "depth 8, width 32" in picture


def test_a_link_to_a_view_that_no_card_has_says_so(open_page: OpenPage) -> None:
    page = open_page("/#v=1&runs=mhc&depth=4&width=16&view.gain=cubic&view.ghost=log")
    banner = page.get_by_role("alert")
    expect(banner).to_contain_text("view.gain must be log, linear, tokens, theory or tokens_bwd, not cubic")
    expect(banner).to_contain_text("view.ghost: no such panel")
    banner.get_by_role("button", name="Close").click()
    expect(banner).to_have_count(0)


def test_a_view_is_offered_where_a_run_can_fill_it_and_a_link_opens_it_all_the_same(open_page: OpenPage) -> None:
    page = open_page("/#v=1&runs=residual,mhc&depth=4&width=16&view.gain=tokens")

    def offered(panel: str) -> list[str]:
        return page.locator(f"[data-panel={panel}] .segments button").all_text_contents()

    def in_menu() -> list[str]:
        gain.hover()
        gain.get_by_role("button", name="Gain, forward: more").click()
        menu = page.locator(".popover:popover-open")
        texts = [text for text in menu.locator("button").all_inner_texts() if "all four charts" in text]
        page.keyboard.press("Escape")
        return [text.split("\n")[0].strip() for text in texts]

    scale, theory, tokens = "Logarithmic scale", "Add the predicted range", "Gain of each token"
    gain = page.locator("[data-panel=gain]")
    expect(gain.locator(".plot")).to_contain_text("No gains per token")
    assert in_menu() == [scale, "Linear scale", theory]
    gain.hover()
    gain.get_by_role("button", name="Gain, forward: more").click()
    gain.get_by_role("button", name=scale).click()
    page.wait_for_url(re.compile("^((?!view).)*$"))
    assert in_menu() == ["Linear scale", theory]
    open_section_of(page, "streams")
    outliers = ["peak", "kurtosis", "token peak", "token kurtosis"]
    shared = ["activation", "gradient", "similarity", "in use"]
    assert offered("streams") == [*shared, "read", "written", *outliers]
    page.goto(
        page.url.partition("#")[0] + "#v=1&runs=residual,mhc&depth=4&width=16&connection.dynamic=true&open=mixing"
    )
    wait_until_done(page)
    assert in_menu() == ["Linear scale", tokens, theory]
    page.goto(
        page.url.partition("#")[0] + "#v=1&runs=residual,none&depth=4&width=16&connection.dynamic=true&open=mixing"
    )
    wait_until_done(page)
    assert in_menu() == ["Linear scale", theory]
    assert offered("streams") == ["activation", "gradient", *outliers]
    assert offered("detail") == []


def test_the_slider_of_the_basis_moves_by_keys_and_stays_in_the_address(open_page: OpenPage) -> None:
    page = open_page("/#v=1&runs=residual,mhc,frac&depth=8&width=16&layer=3&open=expert&view.basis=t36")
    card = page.locator("#panel-basis")
    slider = card.get_by_role("slider", name="Basis")
    slider.press("ArrowRight")
    expect(slider).to_have_attribute("aria-valuetext", "0.37 of the way to H_res = identity")
    page.wait_for_url(re.compile("view.basis=t37"))
    wait_until_done(page)
    for run in ("B mHC", "C Frac"):
        card.get_by_role("button", name=f"Verify run {run}").click()
        expect(page.locator("dialog[open] .verdict").first).to_be_visible()
        page.keyboard.press("Escape")
    expect(card.locator(".basis-differences")).to_have_text(
        re.compile(
            r"^Outputs of both basesB mHC: differ by \d×10⁻¹[⁴-⁷]"
            r"C Frac: not compared: its streams share no basis$"
        )
    )
