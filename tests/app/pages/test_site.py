"""`mhc-scope site`: what it writes, and what it refuses."""

import argparse
import contextlib
import gzip
import json
import re
from pathlib import Path

import httpx
import pytest

from mhc_core.record import codec
from mhc_core.spec import SpecError, SpecErrors, parse_spec
from mhc_scope.commands import site
from mhc_scope.commands.site import GRIDS
from mhc_scope.pages.site import list_grid, to_record_path, to_sent
from mhc_scope.presets import OPENING, PRESETS, records
from mhc_scope.presets.records import SPECS
from tests.conftest import Call, Server, compute

pytestmark = pytest.mark.full

LOADED = re.compile(r'(?:src|href|url\(|"[\w.@/-]+": )=?"([^"]+)"')  # also in styles and in the import map
VIEW = {"state": "v=1&depth=4&width=16", "title": "A view"}


def write(folder: Path, **options: object) -> int:
    """Run the command in this process."""
    known = {"folder": folder, "grid": "none", "view": [], "data": None}
    return site.run(argparse.Namespace(**(known | options)))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A site without runs for the sliders."""
    path = tmp_path_factory.mktemp("site") / "out"
    assert write(path) == 0
    return path


def test_every_page_is_there_and_refers_to_files_that_are(folder: Path) -> None:
    pages = sorted(folder.glob("*.html"))
    assert [page.name for page in pages] == sorted(
        ["index.html", *(f"preset-{preset.name}.html" for preset in PRESETS)]
    )
    for page in pages:
        head = re.sub(r'<script type="application/json".*?</script>', "", page.read_text(), flags=re.DOTALL)
        found = LOADED.findall(head)
        assert len(found) > 12
        for address in found:
            assert address.startswith("./"), (page.name, address)
            assert (folder / address).is_file(), (page.name, address)


def test_no_page_and_no_answer_has_an_address_of_a_server(folder: Path) -> None:
    for path in [*folder.glob("*.html"), *folder.glob("api/*.json")]:
        assert not re.search(r"https?://(?!arxiv\.org|doi\.org|www\.w3\.org)", path.read_text()), path


def test_pages_state_their_policy_in_a_form_that_browsers_take(folder: Path) -> None:
    policy = re.search(
        r'<meta http-equiv="Content-Security-Policy" content="([^"]+)">', (folder / "index.html").read_text()
    )
    assert policy is not None
    assert "script-src" in policy[1]
    assert "frame-ancestors" not in policy[1]  # which a browser rejects there


def test_ids_are_those_of_the_runs_that_ship(folder: Path) -> None:
    runs = json.loads((folder / "api" / "runs.json").read_text())
    assert {run["id"] for run in runs} == set(SPECS)
    for run in runs:
        assert run["is_current"]
        assert parse_spec(run["spec"]).id == run["id"]
        lines = gzip.decompress((folder / to_record_path(run["id"])).read_bytes()).splitlines()
        end = codec.decode_line(lines[-1])
        assert end.type == "end"
        assert end.status == "done"


def test_a_grid_holds_each_run_once() -> None:
    specs = list_grid(GRIDS["small"])
    assert len(specs) == 5 + 2 * 5 * 3 * 8
    assert {spec.id for spec in OPENING.specs} <= {spec.id for spec in specs}


def test_specs_are_listed_as_short_as_the_page_sends_them() -> None:
    for spec in SPECS.values():
        sent = to_sent(spec)
        assert parse_spec(sent) == spec
        for part, value in sent.items():
            for leaf in value.keys() - {"kind"} if isinstance(value, dict) else ():
                rest = {**sent, part: {name: kept for name, kept in value.items() if name != leaf}}
                with contextlib.suppress(SpecError, SpecErrors):
                    assert parse_spec(rest) != spec


def test_the_answers_are_those_of_a_server(folder: Path, server: Server) -> None:
    with httpx.Client(base_url=server.api) as http:
        for name, path in {
            "schema": "/schema",
            "presets": "/presets",
            "previews": "/presets/previews",
            "metrics": "/metrics-catalogue",
            "paper-costs": "/costs/paper",
            "panels-3-dark": "/panels?runs=3&theme=dark",
        }.items():
            assert json.loads((folder / "api" / f"{name}.json").read_text()) == http.get(path).json(), name


def test_stored_views_come_with_the_same_runs(call: Call, server: Server, tmp_path: Path) -> None:
    with httpx.Client(base_url=server.api, timeout=60) as http:
        run = compute(http, {"depth": 4, "width": 16, "seed": 77})
        stored = http.post("/snapshots", json={**VIEW, "runs": [run]}).json()["id"]
        frames = http.get(f"/runs/{run}/events", headers={"Accept": "application/x-ndjson"}).content
    done = call("site", str(tmp_path / "out"), "--grid", "none", "--view", stored, "--data", str(server.data))
    assert done.returncode == 0, done.stderr
    assert "runs:" in done.stderr
    assert (tmp_path / "out" / f"view-{stored}.html").is_file()
    assert gzip.decompress((tmp_path / "out" / to_record_path(run)).read_bytes()) == frames


def test_what_cannot_be_written_is_refused(server: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    assert write(tmp_path) == 2
    assert capsys.readouterr().err == f"{tmp_path}: it is not empty, and holds no site\n"
    assert write(tmp_path / "out", view=["nowhere"], data=server.data) == 2
    assert capsys.readouterr().err == "--view: there is no snapshot nowhere in this database\n"


def test_a_second_call_computes_nothing_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(records, "SPECS", {spec.id: spec for spec in OPENING.specs})  # all others take seconds to pack
    monkeypatch.setitem(GRIDS, "tiny", {"depth": [4], "connection.streams": [2], "connection.noise": [0.3]})
    assert write(tmp_path / "out", grid="tiny") == 0
    monkeypatch.setattr(site, "_compute_record", lambda _: pytest.fail("it is there already"))
    assert write(tmp_path / "out", grid="tiny") == 0
