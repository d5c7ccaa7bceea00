"""A card's figure as PDF for a paper: letters are letters, fonts are in the file, and the caption says what it is."""

import io
import re
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect
from pypdf import PdfReader
from pypdf.generic import DictionaryObject

from mhc_core.spec import parse_spec
from tests.browser.conftest import OpenPage, Watch, open_section_of, wait_until_done, wait_until_drawn
from tests.browser.share.test_copying import choose
from tests.browser.sweep.test_sweep import wait_for_cells
from tests.conftest import Server

pytestmark = pytest.mark.full

SMALL = "/#v=1&runs=residual,hc&depth=8&width=32"


def save_pdf(page: Page, card: str) -> PdfReader:
    """The file that the card's menu gives."""
    with page.expect_download() as taken:
        choose(page, card, "PDF")
    assert taken.value.suggested_filename.endswith(".pdf")
    return PdfReader(io.BytesIO(Path(taken.value.path()).read_bytes()))


def read_text(pdf: PdfReader) -> str:
    """All letters of the one page, one space between words."""
    (sheet,) = pdf.pages
    return re.sub(r"\s+", " ", sheet.extract_text().replace("\u200b", ""))


def resources(pdf: PdfReader, kind: str) -> list[DictionaryObject]:
    """Fonts or images of the page, also those within its parts."""
    found: list[DictionaryObject] = []

    def look(holder: Any) -> None:
        own = holder.get("/Resources", {}).get_object()
        found.extend(item.get_object() for item in own.get(kind, {}).get_object().values())
        for part in own.get("/XObject", {}).get_object().values():
            if part.get_object().get("/Subtype") == "/Form" and part.get_object() is not holder:
                look(part.get_object())

    look(pdf.pages[0])
    return found


def count_images(pdf: PdfReader) -> int:
    return sum(item.get("/Subtype") == "/Image" for item in resources(pdf, "/XObject"))


def has_font_file(font: DictionaryObject) -> bool:
    """Whether the shapes of the letters are in the file."""
    inner: Any = font["/DescendantFonts"]
    return "/FontFile2" in inner[0].get_object()["/FontDescriptor"].get_object()


def test_curves_and_letters_stay_what_they_are_and_the_caption_names_the_runs(
    open_page: OpenPage, server: Server
) -> None:
    page = open_page(SMALL)
    pdf = save_pdf(page, "Gain, forward")
    expect(page.locator(".toast[role=status]")).to_have_text("Saved as mhc-scope-gain.pdf")
    fonts = resources(pdf, "/Font")
    assert fonts
    assert all(map(has_font_file, fonts))
    assert count_images(pdf) == 0
    text = read_text(pdf)
    for kind in ("residual", "hc"):
        spec = parse_spec({"depth": 8, "width": 32, "connection": {"kind": kind}})
        assert f"(run {spec.id})" in text
    for words in ("Gain, forward · composite, Amax", "Connection: A Residual, B HC", "Depth: 8 layers", "Seed: 0"):
        assert words in text
    assert "Sinkhorn" not in text, "none of the two has it"
    link = f"{server.url}{SMALL}"
    assert link in text
    notes = [note.get_object() for note in pdf.pages[0]["/Annots"]]  # type: ignore[attr-defined]
    assert {note["/A"]["/URI"] for note in notes} == {link}
    assert "A box replaces" not in text


def test_an_image_is_in_it_only_where_there_is_a_heat_map(open_page: OpenPage) -> None:
    page = open_page(SMALL)
    picture = save_pdf(page, "How the signal travels")
    assert count_images(picture) == 0
    assert "Residual 1 stream" in read_text(picture)
    assert all(map(has_font_file, resources(picture, "/Font")))
    wait_until_drawn(page, "cka")
    assert count_images(save_pdf(page, "Layer similarity (CKA)")) > 0


def test_cost_and_map_are_saved_too(open_page: OpenPage, server: Server) -> None:
    page = open_page(SMALL)
    open_section_of(page, "cost")
    cost = save_pdf(page, "Cost")
    assert "depth 8, width 32" in read_text(cost)
    assert count_images(cost) == 0
    map_hash = "&map=B&map.x=depth,2,4&map.metric=composite_gain_fwd&map.reduce=max"
    page.goto("about:blank")
    page.goto(f"{server.url}{SMALL}{map_hash}")
    wait_until_done(page)
    wait_for_cells(page, 2)
    assert "sweep" in read_text(save_pdf(page, "Sweep"))


def test_what_does_not_come_is_told(open_page: OpenPage, watch: Watch) -> None:
    watch.allow("Failed to load resource|ERR_FAILED")
    page = open_page(SMALL)
    page.route("**/*.woff", lambda route: route.abort())
    choose(page, "Gain, forward", "PDF")
    expect(page.locator(".toast[role=status]")).to_contain_text("Couldn't make the PDF: the server is unreachable")
    page.unroute("**/*.woff")
    assert "Gain, forward" in read_text(save_pdf(page, "Gain, forward"))


def test_signs_that_the_font_lacks_are_seen_to_be_missing(open_page: OpenPage) -> None:
    page = open_page(f"{SMALL}&A.name=型Ω≤")
    text = read_text(save_pdf(page, "Gain, forward"))
    assert "A □Ω≤ (run " in text
    assert text.count("A □Ω≤") >= 2
    assert "A box replaces a character" in text


def test_a_preset_is_cited_by_its_own_address(open_page: OpenPage, server: Server) -> None:
    page = open_page("/p/no_skip")
    assert f"{server.url}/p/no_skip" in read_text(save_pdf(page, "Gain, forward"))
