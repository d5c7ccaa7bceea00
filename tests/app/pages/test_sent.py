"""The tests of the page's modules run with what the server really sends.

`.venv/bin/python -m tests.app.pages.test_sent && npm --prefix static run format` writes it to `tests/js/sent.json`.
"""

import json
from typing import Any

from mhc_core.figures import to_response
from mhc_scope.pages.routes import to_boot
from tests.core.figures.filled import ROOT

FILE = ROOT / "tests" / "js" / "sent.json"


def collect_sent() -> dict[str, Any]:
    return {"boot": json.loads(to_boot("index"))["rules"], "rules": to_response(1, "light")["rules"]}


def test_tests_of_the_page_are_given_what_the_server_sends() -> None:
    assert json.loads(FILE.read_text()) == json.loads(json.dumps(collect_sent())), f"to renew {FILE.name}: {__doc__}"


if __name__ == "__main__":
    FILE.write_text(json.dumps(collect_sent(), ensure_ascii=False) + "\n")
