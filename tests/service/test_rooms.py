"""Rooms of courses by HTTP: made, used, listed for the teacher alone, exported and deleted."""

import io
import json
import zipfile
from collections.abc import Iterator
from html.parser import HTMLParser
from typing import Any

import httpx
import pytest

from tests.conftest import Server, StartServer, wait_for_end
from tests.service.conftest import start_service

SHEET = "# Week 1\n\n**Look** at [the gain](/#v=1&depth=8).\n\n<script>alert(1)</script>\n"
HOSTILE = (
    "[a](javascript:alert(1))",
    "<img src=x onerror=alert(1)>",
    "[b](data:text/html,<script>1</script>)",
    "<svg/onload=alert(1)>",
)
PRESET = {"title": "Eight layers", "description": "Short.", "state": "v=1&depth=8&width=32"}
FLAGS = ("--no-precompute", "--workers", "1")
SPEC = {"depth": 3, "width": 16, "input": {"batch": 1, "tokens": 16}}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server where anyone makes rooms."""
    running = start_service(
        tmp_path_factory.mktemp("rooms"), "--no-precompute", "--workers", "1", "--rooms-by", "anyone"
    )
    yield running
    running.kill()


def check_refusal(answer: httpx.Response, status: int, kind: str) -> None:
    """The answer is a problem of that status and kind."""
    assert answer.status_code == status, answer.text
    assert answer.json()["type"] == f"/docs#problem-{kind}"


def open_room(server: Server, **text: Any) -> dict[str, Any]:
    body = {"title": "Signals, 2026", "sheet": SHEET, "presets": [PRESET], **text}
    answer = httpx.post(f"{server.api}/rooms", json=body)
    assert answer.status_code == 201, answer.text
    opened: dict[str, Any] = answer.json()
    assert answer.headers["location"] == f"/api/v1/rooms/{opened['room']['id']}"
    return opened


def save_view(server: Server, room: str | None, title: str, seed: int) -> dict[str, Any]:
    """What a student does: compute a run, and share it."""
    headers = {} if room is None else {"X-Room": room}
    with httpx.Client(base_url=server.api, headers=headers) as http:
        run = http.post("/runs", json={**SPEC, "seed": seed}).json()["id"]
        wait_for_end(http, run)
        view = http.post("/snapshots", json={"runs": [run], "state": "v=1&depth=3", "title": title, "note": "mine"})
        assert view.is_success, view.text
        return {**view.json(), "run": run}


def as_teacher(opened: dict[str, Any]) -> dict[str, str]:
    return {"Authorization": f"Bearer {opened['key']}"}


def test_a_room_from_its_making_to_its_end(server: Server) -> None:
    opened = open_room(server)
    room, teacher = opened["room"]["id"], as_teacher(opened)
    at = f"{server.api}/rooms/{room}"
    mine, other = save_view(server, room, "Look here", 1), save_view(server, None, "Look here", 1)
    assert mine["id"] != other["id"], "the same view outside the room is another"
    assert mine["run"] == other["run"]
    alone = save_view(server, room, "Mine alone", 2)
    listed = httpx.get(f"{at}/views", headers=teacher).json()
    assert [(view["id"], view["title"], view["note"]) for view in listed] == [
        (alone["id"], "Mine alone", "mine"),
        (mine["id"], "Look here", "mine"),
    ]

    exported = zipfile.ZipFile(io.BytesIO(httpx.get(f"{at}/export", headers=teacher).content))
    assert exported.testzip() is None
    assert exported.read("sheet.md").decode() == SHEET
    assert json.loads(exported.read("room.json"))["presets"] == [PRESET]
    assert [view["id"] for view in json.loads(exported.read("views.json"))] == [view["id"] for view in listed]
    for run in (mine["run"], alone["run"]):
        lines = exported.read(f"runs/{run}.ndjson").splitlines()
        assert json.loads(lines[-1])["type"] == "end"

    gone = httpx.delete(at, headers=teacher)
    assert gone.json() == {"views": 2, "runs": 1}, "the other run is held by a view outside the room"
    check_refusal(httpx.get(at), 404, "not-found")
    for view, status in ((mine, 404), (alone, 404), (other, 200)):
        assert httpx.get(f"{server.api}/snapshots/{view['id']}").status_code == status
    assert httpx.get(f"{server.api}/runs/{alone['run']}").status_code == 404
    assert httpx.get(f"{server.api}/runs/{mine['run']}").status_code == 200


@pytest.mark.attack("ownership")
def test_only_the_teacher_sees_changes_exports_and_deletes(server: Server) -> None:
    opened, stranger = open_room(server), as_teacher(open_room(server))
    at = f"{server.api}/rooms/{opened['room']['id']}"
    text = {"title": "Mine now", "sheet": "", "presets": []}
    for headers in ({}, stranger, {"Authorization": "Bearer"}, {"Authorization": f"Basic {opened['key']}"}):
        for answer in (
            httpx.get(f"{at}/views", headers=headers),
            httpx.get(f"{at}/export", headers=headers),
            httpx.put(at, json=text, headers=headers),
            httpx.delete(at, headers=headers),
        ):
            check_refusal(answer, 401, "not-the-teacher")
    assert httpx.get(at).json()["title"] == "Signals, 2026"
    assert opened["key"] not in httpx.get(at).text
    changed = httpx.put(at, json={**text, "title": "Signals, 2027"}, headers=as_teacher(opened))
    assert changed.json()["title"] == httpx.get(at).json()["title"] == "Signals, 2027"


@pytest.mark.attack("XSS")
def test_an_image_becomes_a_link(server: Server) -> None:
    """It would tell another host who reads the sheet."""
    html = open_room(server, sheet="![x](https://elsewhere.example/x.png)")["room"]["sheet_html"]
    assert "<img" not in html
    assert 'href="https://elsewhere.example/x.png"' in html


@pytest.mark.attack("XSS")
@pytest.mark.parametrize("text", HOSTILE)
def test_a_sheet_runs_and_loads_nothing(server: Server, text: str) -> None:
    """Checked as a browser reads it: by elements and their addresses."""
    room = open_room(server, sheet=f"{SHEET}\n{text}\n\n- x\n")["room"]
    found: list[tuple[str, dict[str, str | None]]] = []

    class Reader(HTMLParser):
        def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
            found.append((tag, dict(attributes)))

    Reader().feed(room["sheet_html"])
    tags = {tag for tag, _ in found}
    assert {"h1", "strong", "a", "ul"} <= tags
    assert tags <= {"h1", "p", "strong", "a", "ul", "li"}
    assert [attributes for tag, attributes in found if attributes] == [{"href": "/#v=1&depth=8"}]


def test_what_a_teacher_writes_is_bounded(server: Server) -> None:
    for field, value in (
        ("title", ""),
        ("title", "x" * 121),
        ("sheet", "x" * 20_001),
        ("max_seconds", -1),
        ("presets", [{}]),
    ):
        answer = httpx.post(f"{server.api}/rooms", json={"title": "Room", field: value})
        check_refusal(answer, 422, "invalid-body")
        assert answer.json()["errors"][0]["field"].startswith(field)
    check_refusal(httpx.post(f"{server.api}/runs", json=SPEC, headers={"X-Room": "none"}), 404, "not-found")


@pytest.mark.full
def test_who_makes_rooms_is_the_operators_choice(launch: StartServer) -> None:
    server = launch(*FLAGS, ready="/livez")
    check_refusal(httpx.post(f"{server.api}/rooms", json={"title": "Room"}), 403, "may-not-teach")


def test_runs_in_a_room_count_against_the_room(server: Server) -> None:
    """A run of another is under way in the room, whose quota is smaller than two of them."""
    room = open_room(server, max_seconds=0.2)["room"]["id"]
    headers = {"X-Room": room}
    slow = {"depth": 64, "width": 128, "input": {"batch": 2, "tokens": 128}, "train": {"steps": 40}, "seed": 91}
    first = httpx.post(f"{server.api}/runs", json=slow, headers=headers)
    assert first.status_code == 202, first.text
    refused = httpx.post(f"{server.api}/runs", json={**slow, "seed": 92}, headers=headers)
    check_refusal(refused, 429, "too-many-runs")
    assert "0.2 s is allowed" in refused.json()["detail"]
    assert int(refused.headers["retry-after"]) >= 1
    outside = httpx.post(f"{server.api}/runs", json={**SPEC, "seed": 93})
    assert outside.status_code == 202, "outside the room there is room"
    for answer in (first, outside):
        httpx.delete(f"{server.api}/runs/{answer.json()['id']}", headers=headers)
