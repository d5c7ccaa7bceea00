"""A link that someone has shared opens what it did. Each release adds to links.json and changes nothing in it."""

import json
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import OpenPage, expect_layer, open_section_of
from tests.browser.page.test_page import curves

pytestmark = pytest.mark.full

LINKS: list[dict[str, Any]] = json.loads(Path(__file__).with_name("links.json").read_text())


@pytest.mark.parametrize("link", LINKS, ids=[link["hash"] or "default" for link in LINKS])
def test_a_link_of_a_release_opens_what_it_did(open_page: OpenPage, link: dict[str, Any]) -> None:
    page = open_page(f"/#{link['hash']}")
    assert page.locator(".results-table tbody th").all_text_contents() == link["labels"]
    assert page.locator("output[for=field-depth]").text_content() == str(link["depth"])
    expect_layer(page, link["layer"], link["depth"])
    drawn = link["labels"][1:] if "difference=true" in link["hash"] else link["labels"]
    assert [len(line["y"]) for line in curves(page, "activation")] == [link["depth"]] * len(drawn)
    assert page.evaluate("location.hash.slice(1)") == link["hash"]
    for place, text in link.get("shows", {}).items():
        if place.startswith(("#panel-cka", "#panel-streams", "#panel-detail")):
            open_section_of(page, place.removeprefix("#panel-").split()[0].removesuffix("-title"))
        expect(page.locator(place).first).to_contain_text(text)
    expect(page.get_by_role("alert")).to_have_count(0)
