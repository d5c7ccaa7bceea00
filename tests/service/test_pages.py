"""Pages and scripts of the service, and what it adds to the instrument's page."""

import json
import re

import httpx
import pytest

from mhc_scope.extension import NAME
from mhc_scope.pages.assets import FIRST_MODULE, OWN_PREFIX, Assets, list_imports
from mhc_service.extension import SERVICE
from tests.conftest import Server, compute

FIRST = re.compile(r'<script type="module" src="/static/[0-9a-f]{12}/([^"]+)">')
PRELOADED = re.compile(r'<link rel="modulepreload" href="([^"]+)">')
IMPORTED = re.compile(r"""^import (?:[^'"]*? from )?'([^']+)'""", re.MULTILINE)
SPEC = {"depth": 4, "width": 16, "seed": 98, "input": {"tokens": 16}}


def find_first(server: Server, path: str) -> str:
    page = httpx.get(server.url + path)
    assert page.status_code == 200
    [found] = FIRST.findall(page.text)
    return str(found)


def test_the_instruments_page_starts_with_the_service(server: Server) -> None:
    assert find_first(server, "/") == find_first(server, "/p/mhc_fig_2") == SERVICE.first_module


def test_an_embedded_figure_runs_nothing_of_the_service(server: Server) -> None:
    with httpx.Client(base_url=server.api, timeout=60) as http:
        run_id = compute(http, SPEC)
    assert find_first(server, f"/embed/{run_id}") == "js/embed.js"


def test_without_the_service_nothing_of_it_is_served() -> None:
    assert not [path for path in Assets().bodies() if re.search(r"room|sign.?in|service", path)]
    assert FIRST_MODULE == "js/app.js"
    assert OWN_PREFIX not in Assets().import_map


def test_modules_of_the_instrument_have_one_address_by_either_name() -> None:
    """Two addresses would be two modules, each with headers of its own."""
    assets = Assets("/tools/mhc", {NAME: SERVICE.folder})
    imports = json.loads(assets.import_map)["imports"]
    assert f"{imports[OWN_PREFIX]}net/api.js" == assets.address("js/net/api.js")


@pytest.mark.parametrize("path", ["/", "/rooms"])
def test_scripts_of_the_service_are_preloaded_and_cached_for_ever(server: Server, path: str) -> None:
    page = httpx.get(server.url + path).text
    [first] = FIRST.findall(page)
    preloaded = PRELOADED.findall(page)
    ours = [address for address in preloaded if "/service/" in address]
    tree = re.findall(r"/static/[0-9a-f]{12}/", page)[0]
    for address in (*ours, tree + first):
        answer = httpx.get(server.url + address)
        assert (answer.status_code, answer.headers["cache-control"]) == (200, "public, max-age=31536000, immutable")
        assert answer.headers["content-type"].startswith("text/javascript")
        assert "/**" not in answer.text
        name = address.removeprefix(tree)
        needed = {tree + found for found in list_imports(name, answer.text)}
        assert len(needed) == len([target for target in IMPORTED.findall(answer.text) if "preact" not in target])
        assert needed <= {*preloaded, tree + first}


def test_sheets_of_styles_and_policies_are_those_of_the_instrument(server: Server) -> None:
    page, room = httpx.get(server.url), httpx.get(f"{server.url}/rooms")
    assert room.headers["content-security-policy"] == page.headers["content-security-policy"]
    sheet = re.compile(r'<link rel="stylesheet" href="([^"]+)">')
    assert sheet.findall(room.text) == sheet.findall(page.text) != []
