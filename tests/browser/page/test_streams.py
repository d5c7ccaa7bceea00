"""A page open in mid-stream outlives its server, its network and its own sleep: no reload, every frame once."""

import os
import re
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from urllib.parse import urlsplit

import httpx
import pytest
from playwright.sync_api import Browser, Page, Route, expect

from tests.browser.conftest import wait_until, wait_until_done
from tests.browser.page.test_page import curves
from tests.browser.relay import Relay
from tests.conftest import Server, StartServer, compute, start_server, wait_for_end
from tests.ports import free_port

pytestmark = pytest.mark.full

NDJSON = {"Accept": "application/x-ndjson"}
# Some seconds long: with one worker the second run still waits while the first is computed.
LONG = "runs=hc,mhc&depth=160&width=32&input.batch=8&input.tokens=96"
NAMES = {"hc": "A HC", "mhc": "B mHC"}
SLEEP_S = 6  # the page does not reconnect after a shorter sleep
# Whatever a stream of events is sent, read from a copy of it, before the page has a say in it.
RECORD = """window.received = {}; window.connections = [];
const ask = window.fetch;
window.fetch = async (url, init) => {
    const response = await ask(url, init);
    if (!/event-stream/.test(response.headers.get('content-type'))) return response;
    window.connections.push(String(url));
    const [copy, body] = response.body.tee();
    void (async () => {
        let text = '';
        try {
            for await (const piece of copy.pipeThrough(new TextDecoderStream())) {
                const lines = (text + piece).split('\\n');
                text = lines.pop();
                for (const line of lines.filter((item) => item.startsWith('data: '))) {
                    const frame = JSON.parse(line.slice(6));
                    if (Array.isArray(frame)) window.submitted = frame.map((run) => run.id);
                    else if ('index' in frame) (window.received[frame.run] ??= []).push(frame.index);
                }
            }
        } catch {} // that it broke off is the page's affair
    })();
    return new Response(body, response);
};"""
# For each dead connection the page waits 4, 8 or 30 s for an answer, and 2 s before it repeats the request. With this
# script it waits an eighth of that, but at least 1 s for an answer.
SOONER = """(() => {
  const { setTimeout } = window, timeout = AbortSignal.timeout.bind(AbortSignal);
  const shorten = (wait_ms) => (wait_ms === 2000 ? 250 : wait_ms < 4000 ? wait_ms : Math.max(wait_ms / 8, 1000));
  window.setTimeout = (work, wait_ms, ...given) => setTimeout(work, shorten(wait_ms), ...given);
  AbortSignal.timeout = (wait_ms) => timeout(shorten(wait_ms));
})()"""
COUNT = "() => Object.values(window.received).reduce((sum, indices) => sum + indices.length, 0)"

OpenLong = Callable[..., Page]
StartRelay = Callable[[Server], Relay]


@pytest.fixture
def open_long(browser: Browser) -> Iterator[OpenLong]:
    """Open a long comparison that was never asked for before, and return in mid-stream."""
    contexts = []

    def build(url: str, *scripts: str) -> Page:
        context = browser.new_context(viewport={"width": 1440, "height": 1000})
        contexts.append(context)
        page = context.new_page()
        for script in (RECORD, *scripts):
            page.add_init_script(script)
        page.goto(f"{url}/#v=1&{LONG}&seed={int.from_bytes(os.urandom(4), 'little')}")
        page.evaluate("window.isSamePage = true")
        expect(page.locator(".status")).to_contain_text(re.compile("Takes about|Computing|Queued"))
        if "Takes about" in page.locator(".status").inner_text():
            page.get_by_role("button", name="Run", exact=True).click()
        wait_until(page, lambda: page.evaluate(COUNT) > 20)
        return page

    yield build
    for context in contexts:
        context.close()


@pytest.fixture
def relay() -> Iterator[StartRelay]:
    """Put relays in front of servers."""
    started: list[Relay] = []

    def build(server: Server) -> Relay:
        started.append(Relay(int(server.url.rpartition(":")[2])))
        return started[-1]

    yield build
    for running in started:
        running.close()


def is_done(page: Page) -> bool:
    """Whether the page has every frame."""
    return page.locator(".status[data-phase=idle]").count() == 1


def check_whole(page: Page, server: Server, undisturbed: httpx.Client | None = None) -> None:
    """Every frame once and in order in the page that was open; its curves, and the log of an undisturbed run."""
    wait_until_done(page)
    assert page.evaluate("window.isSamePage"), "the page was loaded again"
    received = page.evaluate("window.received")
    assert len(received) == 2
    drawn = {curve["name"]: curve["y"] for curve in curves(page, "activation")}
    for run_id, indices in received.items():
        log = httpx.get(f"{server.api}/runs/{run_id}/events", headers=NDJSON).text.splitlines()
        assert indices == list(range(len(log)))
        spec = httpx.get(f"{server.api}/runs/{run_id}").json()["spec"]
        columns = httpx.get(f"{server.api}/runs/{run_id}/result.json").json()["layers"]
        assert [10**y for y in drawn[NAMES[spec["connection"]["kind"]]]] == pytest.approx(columns["act_rms"], rel=1e-5)
        if undisturbed is not None:
            assert compute(undisturbed, spec) == run_id
            assert undisturbed.get(f"/runs/{run_id}/events", headers=NDJSON).text.splitlines() == log


@pytest.mark.parametrize("stop", [Server.terminate, Server.kill], ids=["SIGTERM", "SIGKILL"])
def test_a_server_started_again_goes_on_where_it_was(
    launch: StartServer, open_long: OpenLong, lone_client: httpx.Client, stop: Callable[[Server], object]
) -> None:
    port = free_port()
    first = launch("--workers", "1", port=port, ready="/livez")
    page = open_long(first.url)
    stop(first)
    expect(page.locator(".status")).to_contain_text("Connection lost")
    assert not is_done(page)
    check_whole(page, launch("--workers", "1", port=port, ready="/livez"), lone_client)


def test_a_server_with_an_empty_folder_is_given_the_specs_again(
    launch: StartServer, open_long: OpenLong, tmp_path_factory: pytest.TempPathFactory
) -> None:
    port = free_port()
    first = launch("--workers", "1", port=port, ready="/livez")
    page = open_long(first.url)
    first.kill()
    other = start_server(tmp_path_factory.mktemp("other"), "--no-precompute", "--workers", "1", port=port)
    try:
        wait_until(page, lambda: len(page.evaluate("window.connections")) > 1)
        wait_until_done(page)
        assert page.evaluate("window.isSamePage")
        drawn = {curve["name"]: curve["y"] for curve in curves(page, "activation")}
        assert [len(drawn[name]) for name in NAMES.values()] == [160, 160]
    finally:
        other.kill()


def test_a_dropped_network_loses_nothing(server: Server, open_long: OpenLong, relay: StartRelay) -> None:
    wire = relay(server)
    page = open_long(f"http://127.0.0.1:{wire.port}")
    page.context.set_offline(True)
    wire.cut()  # the browser's switch leaves a stream that is open as it is
    expect(page.locator(".status")).to_contain_text("Connection lost")
    before = page.evaluate(COUNT)
    page.wait_for_timeout(1500)
    assert page.evaluate(COUNT) == before, "nothing comes without a network"
    page.context.set_offline(False)
    check_whole(page, server)


def test_a_page_that_slept_through_the_loss_of_its_connection_wakes_to_the_whole(
    launch: StartServer, open_long: OpenLong, relay: StartRelay
) -> None:
    own = launch("--workers", "1", ready="/livez")
    wire = relay(own)
    page = open_long(f"http://127.0.0.1:{wire.port}", SOONER)
    run_ids = page.evaluate("window.submitted")
    browser = page.context.browser
    assert browser is not None
    processes = browser.new_browser_cdp_session().send("SystemInfo.getProcessInfo")["processInfo"]
    renderers = [process["id"] for process in processes if process["type"] == "renderer"]
    slept_at = time.monotonic()
    for pid in renderers:
        os.kill(pid, signal.SIGSTOP)
    wire.stall()
    with httpx.Client(base_url=own.api, timeout=60) as http:
        for run_id in run_ids:
            assert wait_for_end(http, run_id)["status"] == "done"
    while time.monotonic() < slept_at + SLEEP_S:
        time.sleep(0.1)
    for pid in renderers:
        os.kill(pid, signal.SIGCONT)
    check_whole(page, own)
    assert len(page.evaluate("window.connections")) > 1


@pytest.mark.parametrize("path", ["/api/v1/panels", "/api/v1/schema", "/api/v1/runs/compare"])
def test_what_is_never_answered_is_asked_for_again(
    server: Server, browser: Browser, relay: StartRelay, path: str
) -> None:
    wire = relay(server)
    context = browser.new_context()
    context.add_init_script(SOONER)
    page = context.new_page()

    def stall_first(route: Route) -> None:
        asked.append(path)
        if len(asked) == 1:
            wire.stall()
        route.continue_()

    asked: list[str] = []
    page.route(lambda url: urlsplit(url).path == path, stall_first)
    page.goto(f"http://127.0.0.1:{wire.port}/#v=1&runs=hc&depth=8")
    # The browser may ask again over a connection that is as dead, one after the other of the six that it keeps.
    expect(page.locator(".topbar .status")).to_have_attribute("data-phase", "idle", timeout=150_000)
    expect(page.locator("[data-panel=gain] .plot .main-svg").first).to_be_attached(timeout=150_000)
    wait_until_done(page)
    assert len(asked) > 1
    context.close()


def test_a_stream_that_says_nothing_after_its_head_counts_as_unreachable(server: Server, browser: Browser) -> None:
    """Chromium rejects the reading of a body with an AbortError where the time ran out, as if the page had ended it."""
    headers = "Content-Type: text/event-stream", "Access-Control-Allow-Origin: *"
    head = "\r\n".join(["HTTP/1.1 200 OK", *headers, "", ""]).encode()
    with socket.create_server(("127.0.0.1", 0)) as listener, browser.new_context(bypass_csp=True) as context:

        def answer_head() -> None:
            connection, _ = listener.accept()
            connection.recv(65_536)
            connection.sendall(head)
            connection.recv(65_536)  # until the page gives up
            connection.close()

        thread = threading.Thread(target=answer_head)
        thread.start()
        page = context.new_page()
        page.goto(server.url)
        found = page.evaluate(
            """async (address) => {
              const app = document.querySelector('script[src$="js/app.js"]');
              const { openEvents } = await import(new URL('net/api.js', app.src));
              const { fetch, setTimeout } = window;
              window.fetch = (_, { signal }) => fetch(address, { signal });
              window.setTimeout = (work, wait_ms) => setTimeout(work, Math.min(wait_ms, 300));
              const { batches } = openEvents(['run'], [-1]);
              await batches.next(); // the head
              return batches.next().catch(({ name, status }) => [name, status]);
            }""",
            f"http://127.0.0.1:{listener.getsockname()[1]}/",
        )
        thread.join(timeout=10)
    assert found == ["ApiError", 0]
