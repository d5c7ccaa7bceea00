"""The tests of the page's modules run with what the server really sends."""

import json

from mhc_core.figures import to_response
from mhc_scope.pages.routes import to_boot
from tests.core.figures.filled import ROOT


def test_tests_of_the_page_are_given_what_the_server_sends() -> None:
    """To renew the file, write `sent` to it."""
    sent = {"boot": json.loads(to_boot("index"))["rules"], "rules": to_response(1, "light")["rules"]}
    assert json.loads((ROOT / "tests" / "js" / "sent.json").read_text()) == json.loads(json.dumps(sent))
