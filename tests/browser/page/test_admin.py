"""The operator's page in a browser: readable on a phone, in the dark and without script, and its buttons work."""

import re
from collections.abc import Iterator

import httpx
import pytest
from playwright.sync_api import Browser, expect

from tests.app.engine.test_cancel import LONG
from tests.browser.audit import audit
from tests.conftest import Server, wait_for_end
from tests.service.conftest import start_service

pytestmark = pytest.mark.full

SPEC = {"depth": 4, "width": 16, "input": {"tokens": 16}, **LONG}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server of the service."""
    running = start_service(tmp_path_factory.mktemp("admin"), "--no-precompute")
    yield running
    running.kill()


@pytest.mark.parametrize(("theme", "width"), [("light", 390), ("dark", 1280)])
def test_it_can_be_read_and_used(browser: Browser, server: Server, theme: str, width: int) -> None:
    seed = width + len(theme)
    with httpx.Client(base_url=server.api, timeout=60) as http:
        run_id = http.post("/runs", json={**SPEC, "seed": seed}).json()["id"]
        context = browser.new_context(
            color_scheme="dark" if theme == "dark" else "light",
            viewport={"width": width, "height": 2400},
            base_url=server.url,
        )
        page = context.new_page()
        page.goto("/admin")
        expect(page.get_by_role("heading", level=1)).to_have_text(re.compile(r"^mHC Scope \S+: admin$"))
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        found = audit(page)
        assert sum(item.kind == "text" for item in found) > 20
        assert [item for item in found if item.is_short] == []
        context.close()

        plain = browser.new_context(java_script_enabled=False, base_url=server.url)
        page = plain.new_page()
        page.goto("/admin")
        page.get_by_role("button", name=f"Stop run {run_id}").click()
        expect(page.get_by_role("status")).to_have_text("The run was stopped.")
        expect(page.get_by_role("button", name=f"Stop run {run_id}")).to_have_count(0)
        plain.close()
        assert wait_for_end(http, run_id)["status"] == "cancelled"
