"""Verification of a run, on the page: by keyboard, of a run that is wrong, and where it is refused."""

import re
import sqlite3
from contextlib import closing
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Browser, expect

from tests.app.api.test_verify import change_frame
from tests.browser.conftest import OpenPage
from tests.conftest import Server, StartServer, compute
from tests.stored import store_as_of_old


def test_a_run_is_verified_by_keyboard_and_the_focus_comes_back(open_page: OpenPage) -> None:
    page = open_page("/#v=1&depth=4&width=16&runs=residual,hc")
    button = page.get_by_role("button", name=re.compile(r"\brun B HC$"))
    button.focus()
    page.keyboard.press("Enter")
    dialog = page.get_by_role("dialog", name="Verify B HC")
    expect(dialog.get_by_role("status")).to_have_text(re.compile(r"^✓ All \d+ checks hold\.$"), timeout=60_000)
    heads = dialog.locator("thead th").all_text_contents()
    assert heads == ["verdict", "check", "metric", "layer", "expected", "measured", "difference", "tolerance"]
    rows = [row.locator("th, td").all_inner_texts() for row in dialog.locator("tbody tr").all()]
    assert {row[0] for row in rows} == {"✓ pass"}
    assert any("Drift gain" in row[1] and "Gain, " in row[2] for row in rows)
    assert any(row[2] == "Loss" and row[3] == "" for row in rows)
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    expect(button).to_be_focused()
    expect(button).to_have_text("✓ verified")
    page.get_by_role("button", name="Verify run A Residual").click()
    expect(page.get_by_role("dialog", name="Verify A Residual").get_by_role("status")).to_contain_text("checks hold")


@pytest.mark.full
def test_a_falsified_run_is_seen_to_fail(open_page: OpenPage, server: Server) -> None:
    with httpx.Client(base_url=server.api, timeout=60) as http:
        run_id = compute(http, {"depth": 8, "connection": {"kind": "mhc_lite"}})
        copy = "fa15e" + run_id[5:]  # The server has the frames of the run itself at hand, and need not read them.
        store_as_of_old(server, run_id, copy, ())
        change_frame(server, copy, layer=2, key="act_rms", factor=1.01)
        stored = http.post("/snapshots", json={"runs": [copy], "state": "v=1&depth=8&runs=mhc_lite"}).json()
    page = open_page(f"/s/{stored['id']}")
    page.get_by_role("button", name="Verify run").click()
    dialog = page.get_by_role("dialog")
    said = re.compile(r"✗ 1 of \d+ checks failed: recomputation of act_rms at layer 3\.")
    expect(dialog.get_by_role("status")).to_have_text(said, timeout=60_000)
    failed = dialog.locator("tbody tr", has_text="✗ fail")
    expect(failed).to_have_count(1)
    expect(failed).to_contain_text("Activation")
    assert failed.locator("td").nth(2).inner_text() == "3"


@pytest.mark.full
def test_a_verification_that_is_refused_says_so(
    browser: Browser, server: Server, launch: StartServer, tmp_path: Path
) -> None:
    with httpx.Client(base_url=server.api, timeout=60) as http:
        compute(http, {"depth": 8, "seed": 8, "connection": {"kind": "hc"}})  # No test has had it verified.
    (tmp_path / "data").mkdir()
    with (
        closing(sqlite3.connect(server.data / "mhc-scope.db", timeout=30)) as stored,
        closing(sqlite3.connect(tmp_path / "data" / "mhc-scope.db")) as copy,
    ):
        stored.backup(copy)
    strict = launch("--workers", "1", "--max-run-seconds", "0.0001", ready="/livez")
    page = browser.new_page()
    page.goto(f"{strict.url}/#v=1&runs=hc&depth=8&seed=8")
    page.get_by_role("button", name="Verify run").click()
    expect(page.get_by_role("dialog").get_by_role("alert")).to_contain_text("this server allows 0.0001 s")
    page.close()
