"""Opening traces on the page: from a file, by dropping it, by a pasted link; and the twin of one."""

import base64
import re
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Page, expect

from tests.broken_traces import pack, read_lines
from tests.browser.conftest import OpenPage, Watch, open_settings, wait_until_done
from tests.browser.look.test_access import audit, looks
from tests.browser.page.test_page import curves
from tests.browser.page.test_traces import HEADS, SMALL, address_beside, heads
from tests.conftest import Server
from tests.probe.attach.attachable import LAYERS
from tests.traced import NAME, read_trace

RUN = f"/#v=1&runs=hc&{SMALL}"
OPENED = [f"A {NAME}", "B HC"]
DROP = """(content) => {
    const held = new DataTransfer();
    held.items.add(new File([Uint8Array.from(atob(content), (sign) => sign.charCodeAt(0))], 'ours.mhct'));
    const send = (type) => document.querySelector('main').dispatchEvent(
        new DragEvent(type, {dataTransfer: held, bubbles: true, cancelable: true}));
    send('dragover');
    const shown = document.querySelector('.drop-zone') !== null;
    return new Promise((done) => requestAnimationFrame(() => {
        const isOver = shown || document.querySelector('.drop-zone') !== null;
        send('drop');
        done(isOver);
    }));
}"""
PASTE = """(text) => {
    const pasted = new DataTransfer();
    pasted.setData('text', text);
    document.body.dispatchEvent(new ClipboardEvent('paste', {clipboardData: pasted, bubbles: true}));
}"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """The trace as `Result.save` writes it."""
    path = tmp_path / "ours.mhct"
    read_trace().result.save(path)
    return path


@pytest.fixture
def run(open_page: OpenPage, traced: Server) -> Page:
    """A page with one small run, of a server that has the trace."""
    return open_page(RUN)


def spoil(file: Path) -> None:
    """Put into the file a frame of a layer that the model does not have."""
    frames = read_lines()
    frames[2]["layer"] = 99
    file.write_bytes(pack(frames))


def choose(page: Page, file: Path) -> None:
    """Press the button and choose a file."""
    with page.expect_file_chooser() as chooser:
        open_settings(page).get_by_role("button", name="+ Import a recording").click()
    chooser.value.set_files(file)


def test_a_file_is_sent_and_shown_beside_the_runs(run: Page, file: Path) -> None:
    choose(run, file)
    expect(run.locator(".results-table tbody th")).to_have_text(OPENED)
    wait_until_done(run)
    assert f"runs=trace,hc&depth={LAYERS}&" in run.url
    choose(run, file)
    expect(run.locator(".sending-failed")).to_contain_text("This recording is already open.")
    run.locator(".sending-failed").get_by_role("button", name="Close").click()
    expect(run.locator(".sending-failed")).to_have_count(0)
    run.go_back()
    expect(run.locator(".results-table tbody th")).to_have_text(["A HC"])


@pytest.mark.full
def test_a_recording_comes_first_in_view_and_at_its_own_depth(open_page: OpenPage, traced: Server, file: Path) -> None:
    page = open_page("/#v=1&depth=32&width=16", height=900)
    page.evaluate("scrollTo(0, document.body.scrollHeight)")
    page.evaluate(DROP, base64.b64encode(file.read_bytes()).decode())
    expect(page.locator(".toast")).to_contain_text(f"Depth set to {LAYERS}")
    expect(page.locator(".results-table tbody th").first).to_have_text(f"A {NAME}")
    wait_until_done(page)
    assert heads(page)[1:] == ["B Residual", "C HC", "D mHC"]
    assert {len(line["y"]) for line in curves(page, "activation")} == {LAYERS}
    assert page.locator(".picture-box").evaluate("box => box.getBoundingClientRect().top") >= 0
    expect(page.locator(".picture-box")).to_be_in_viewport(ratio=0.5)
    page.go_back()
    expect(page.locator(".results-table tbody th")).to_have_text(["A Residual", "B HC", "C mHC"])


@pytest.mark.full
def test_a_file_is_dropped_anywhere(run: Page, file: Path) -> None:
    assert run.evaluate(DROP, base64.b64encode(file.read_bytes()).decode())
    expect(run.locator(".results-table tbody th")).to_have_text(OPENED)
    expect(run.locator(".drop-zone")).to_have_count(0)


@pytest.mark.full
def test_a_refusal_names_the_field(run: Page, watch: Watch, file: Path) -> None:
    watch.allow("422")
    spoil(file)
    choose(run, file)
    said = run.locator(".sending-failed")
    expect(said).to_contain_text("ours.mhct: ")
    expect(said).to_contain_text(re.compile(r"frames\[2\]\.layer: got 99, wanted "))
    assert heads(run) == ["A HC"]


@pytest.mark.full
def test_a_server_that_is_away_is_said(run: Page, watch: Watch, file: Path) -> None:
    watch.allow("ERR_FAILED")
    run.route("**/api/v1/traces", lambda route: route.abort())
    choose(run, file)
    expect(run.locator(".sending-failed")).to_contain_text("ours.mhct: The file was not sent.")


@pytest.mark.full
def test_sending_can_be_given_up(run: Page, file: Path) -> None:
    run.route("**/api/v1/traces", lambda _: None)  # never answered
    choose(run, file)
    expect(run.locator(".sending")).to_contain_text("ours.mhct")
    run.get_by_role("button", name="Stop sending").click()
    expect(run.locator(".sending")).to_have_count(0)
    expect(run.locator(".sending-failed")).to_have_count(0)


@pytest.mark.full
def test_a_link_is_pasted(run: Page, watch: Watch, traced: Server) -> None:
    run.evaluate(PASTE, f"{traced.url}/#v=1&runs=trace&A.trace={read_trace().id}")
    expect(run.locator(".results-table tbody th")).to_have_text(OPENED)
    watch.allow("404")
    run.evaluate(PASTE, "f" * 20)
    expect(run.locator(".sending-failed")).to_contain_text("f" * 20)


@pytest.mark.full
def test_where_no_more_fit_nothing_is_sent(open_page: OpenPage, traced: Server) -> None:
    page = open_page(f"/#v=1&runs=hc,mhc,residual,none&{SMALL}")
    sent: list[str] = []
    page.on("request", lambda request: sent.append(request.url))
    expect(open_settings(page).get_by_role("button", name="+ Import a recording")).to_have_count(0)
    page.evaluate(DROP, "")
    expect(page.locator(".sending-failed")).to_contain_text("4 runs is the maximum. Remove one first.")
    assert not any(url.endswith("/traces") for url in sent)


@pytest.mark.full
def test_a_twin_stands_beside_its_trace(open_page: OpenPage, traced: Server) -> None:
    page = open_page(f"/#v=1&runs=hc,trace&depth=4&B.trace={read_trace().id}")
    told = httpx.get(f"{traced.api}/runs/{read_trace().id}/twin").json()
    open_settings(page).get_by_role("button", name="Add a matching synthetic run").click()
    expect(page.locator(".results-table tbody th")).to_have_text([*HEADS, "C mHC"])
    wait_until_done(page)
    assert f"C.depth={LAYERS}" in page.url
    ids = page.evaluate("[...document.querySelectorAll('.only-print')].map((line) => line.textContent).join()")
    assert told["id"][:8] in ids
    page.locator(".traced summary").click()
    for sentence in told["unknown"]:
        expect(page.locator(".traced")).to_contain_text(sentence)
    page.go_back()
    expect(page.locator(".results-table tbody th")).to_have_text(HEADS)


@pytest.mark.full
@looks
def test_axe_finds_nothing(
    open_page: OpenPage, watch: Watch, traced: Server, file: Path, theme: str, width: int
) -> None:
    page = open_page(address_beside(), theme=theme, width=width)
    watch.allow("422")
    spoil(file)
    choose(page, file)
    expect(page.locator(".sending-failed")).to_be_visible()
    page.get_by_role("button", name="Recording: what it is").click()
    expect(page.locator(".popover:popover-open").last).to_be_visible()
    audit(page, "a trace that was refused")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
