"""What a server makes before the first visitor comes."""

import pytest

from mhc_scope.api.descriptions import write_presets, write_schema
from mhc_scope.api.figures import write_panels
from mhc_scope.pages import routes
from mhc_scope.pages.assets import Assets
from mhc_scope.pages.link_cards import Card
from mhc_scope.pages.routes import Pages, to_boot
from mhc_scope.pages.warmup import warm_up
from mhc_scope.presets import PRESETS


def test_the_first_page_compiles_no_template_and_writes_no_body(monkeypatch: pytest.MonkeyPatch) -> None:
    pages, preset = Pages(Assets()), PRESETS[0]
    for write in (write_schema, write_presets, write_panels):
        write.cache_clear()
    warm_up(pages)
    read: list[str] = []
    monkeypatch.setattr(routes, "read_file", read.append)
    card = Card("a title", "a sentence", url=None, picture=None, picture_path=None, alt="")
    boot = to_boot("index", preset=preset.to_plain())
    for name in ("index.html", "preset.html"):
        assert b"a title" in pages.render(name, boot=boot, card=card, preset=preset).body
    assert read == []
    assert [write.cache_info().currsize for write in (write_schema, write_presets, write_panels)] == [1, 1, 2]
