"""What a wheel carries: everything that the product reads, and signs for everything that it writes."""

from pathlib import Path

from app.files import ARCHIVE, CHECKOUT, NODE_MODULES, list_files
from app.pages.vendored import CHARACTERS, list_carried


def test_a_checkout_reads_its_own_files() -> None:
    assert not ARCHIVE.exists()
    assert Path(__file__).resolve().parent.parent == CHECKOUT
    assert "templates/index.html" in list_files("templates")


def test_all_files_of_others_are_there() -> None:
    assert [path for path in list_carried() if not (CHECKOUT / NODE_MODULES / path).is_file()] == []


def test_the_fonts_keep_every_sign_that_stands_in_our_sources() -> None:
    sources = (path.read_text() for room in ("app", "mhc_core") for path in (CHECKOUT / room).rglob("*.py"))
    written = {character for source in sources for character in source if character != "\n"}
    assert written - set(map(chr, CHARACTERS)) == set()
