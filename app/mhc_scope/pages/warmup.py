"""Prepare at the start of the server what every visit needs, for which the first visitor would wait 0.1 s."""

from typing import get_args

from mhc_core.figures.style import ThemeName
from mhc_scope.api.descriptions import write_presets, write_schema
from mhc_scope.api.figures import write_panels
from mhc_scope.pages.routes import Pages
from mhc_scope.pages.view_rules import to_view_rules
from mhc_scope.presets import OPENING

CODING = "br"  # encoding that browsers accept


def warm_up(pages: Pages) -> None:
    """Compile the templates of pages, and compress the bodies that a page requests first. Takes 100 ms."""
    pages.compile_templates()
    to_view_rules()
    panels = (write_panels(len(OPENING.specs), theme) for theme in get_args(ThemeName))
    for body in (write_schema(), write_presets(), *panels):
        body.pack(CODING)
