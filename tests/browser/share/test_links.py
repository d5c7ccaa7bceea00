"""A link that someone has shared opens what it did. Each release adds to links.json and changes nothing in it."""

import json
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.sync_api import expect

from mhc_core.spec import parse_spec
from tests.browser.conftest import OpenPage, expect_layer, open_section_of
from tests.browser.page.test_page import curves
from tests.conftest import ROOT, Server
from tests.contract.files import read_boot
from tests.contract.links import open_links

pytestmark = pytest.mark.full

LINKS: list[dict[str, Any]] = json.loads(Path(__file__).with_name("links.json").read_text())
# Those that the page shows otherwise than by its runs, or that a browser encodes; others differ in what is read.
OPENED = [link for link in LINKS if link.get("shows") or not link["hash"] or "%" in link["hash"]]


def test_every_link_of_a_release_is_read_as_it_was(server: Server) -> None:
    schema, rules = httpx.get(f"{server.api}/schema").json(), read_boot(httpx.get(server.url).content)["rules"]
    for link, read in zip(LINKS, open_links(ROOT, schema, rules, [link["hash"] for link in LINKS], []), strict=True):
        assert (read["problems"], read["label"]) == ([], link["labels"])
        assert {parse_spec(spec).depth for spec in read["specs"]} == {link["depth"]}
        assert sorted(read["again"].split("&")) == sorted(link["hash"].split("&")), "the order may differ"


@pytest.mark.parametrize("link", OPENED, ids=[link["hash"] or "default" for link in OPENED])
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
