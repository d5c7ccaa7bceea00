"""HEAD: every address that answers GET answers it with the same status and head, without a body, and starts nothing."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi.routing import iter_route_contexts

from mhc_scope.main import create_app
from mhc_service.settings import ServiceSettings
from tests.apart import run_loop
from tests.app.api.test_atlas import fetch_atlas
from tests.app.api.test_compare_stream import read_gauges
from tests.app.api.test_lens import fetch_lens
from tests.app.api.test_sweeps import finish
from tests.app.edge.sockets import ask, build
from tests.app.engine.test_cancel import LONG, start_long
from tests.conftest import Server, StartServer, compute
from tests.service.conftest import start_service
from tests.service.test_rooms import SHEET, as_teacher

FreshSpec = Callable[..., dict[str, Any]]
SPEC = {"depth": 4, "width": 16, "seed": 31, "input": {"tokens": 16}, "connection": {"kind": "hc"}}
# Of each request, or of each moment.
OWN = {"date", "x-request-id", "set-cookie"}
CHANGING = ("/metrics", "/readyz", "/admin")
MISSING = "/api/v1/nothing"
# Routes whose GET fails in this test as well: runs of presets are not computed, and only traces have a twin.
NOT_THERE = {
    *("/picture.png", "/p/{name}/picture.png", "/api/v1/runs/{run_id}/twin"),
    *("/api/v1/runs/{run_id}/result.{ending}", "/static/{path:path}", "/vendor/{path:path}"),
}


@pytest.fixture(scope="module")
def routes(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Paths of all GET routes."""
    app = create_app(ServiceSettings(service=True, data=tmp_path_factory.mktemp("routes"), precompute=False))
    run_loop(app.state.database.close())
    return [str(route.path) for route in iter_route_contexts(app.routes) if "GET" in (route.methods or ())]


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server where anyone makes rooms."""
    flags = ("--no-precompute", "--workers", "1", "--rooms-by", "anyone")
    running = start_service(tmp_path_factory.mktemp("head"), *flags)
    yield running
    running.kill()


@pytest.fixture(scope="module")
def filled(served: Server) -> tuple[dict[str, str], dict[str, str]]:
    """What stands for each parameter of a path, and headers with which all of it is found."""
    with httpx.Client(base_url=served.api, timeout=60) as http:
        run_id = compute(http, SPEC)
        assert http.post(f"/runs/{run_id}/verify").status_code == 200
        fetch_atlas(http, run_id)
        fetch_lens(http, run_id)
        x = {"field": "depth", "values": [2, 4]}
        sweep = http.post("/runs/sweep", json={"spec": SPEC, "x": x}).json()["id"]
        finish(http, sweep)
        view = http.post("/snapshots", json={"runs": [run_id], "sweep": sweep, "state": "v=1&depth=4"}).json()
        room = http.post("/rooms", json={"title": "Course", "sheet": SHEET, "presets": []}).json()
    ids = {"run_id": run_id, "sweep_id": sweep, "snapshot_id": view["id"], "room_id": room["room"]["id"]}
    names = {"name": "hc_collapse", "panel": "gain", "ending": "txt", "path:path": "nothing.js"}
    return {**ids, **names}, as_teacher(room)


def fill(path: str, values: dict[str, str]) -> str:
    """A path with a value for each parameter."""
    if path == "/embed/{name}":
        return f"/embed/{values['snapshot_id']}"
    for name, value in values.items():
        path = path.replace(f"{{{name}}}", value)
    assert "{" not in path, f"the test has no value for a parameter of {path}"
    return path + (f"?ids={values['run_id']}" if path.endswith("/runs/events") else "")


def get_both(http: httpx.Client, path: str) -> tuple[httpx.Response, httpx.Response]:
    return http.get(path), http.head(path)


def compare(path: str, get: httpx.Response, head: httpx.Response) -> None:
    """Their heads are the same; what has no length to be known still has none."""
    own = OWN | ({"content-length"} if path in CHANGING else set())
    heads = [{key: text for key, text in one.headers.items() if key not in own} for one in (get, head)]
    assert (head.status_code, heads[1]) == (get.status_code, heads[0]), path
    assert head.content == b""


@pytest.mark.sample(2)
@pytest.mark.parametrize("coding", ["identity", "gzip, br"])
def test_every_route_answers_head_as_get(
    served: Server, routes: list[str], filled: tuple[dict[str, str], dict[str, str]], coding: str
) -> None:
    values, headers = filled
    assert len(routes) > 40
    failing = set()
    with httpx.Client(base_url=served.url, timeout=60, headers={"Accept-Encoding": coding}) as http:
        for route in routes:
            path = fill(route, values)
            with_key = headers if path.endswith(("/views", "/export")) else {}
            get, head = http.get(path, headers=with_key), http.head(path, headers=with_key)
            compare(path, get, head)
            if not get.is_success:
                failing.add(route)
    assert failing == NOT_THERE


@pytest.mark.full
def test_head_of_a_large_result_is_that_of_its_file(launch: StartServer) -> None:
    own = launch("--workers", "1", "ENCODE_INSIDE_BYTES=1")
    with httpx.Client(base_url=own.api, timeout=60) as http:
        run_id = compute(http, SPEC)
        for ending in ("json", "csv", "npz"):
            path = f"/runs/{run_id}/result.{ending}"
            get, head = get_both(http, path)
            compare(path, get, head)
            assert int(head.headers["content-length"]) > 0
            part = http.head(path, headers={"Range": "bytes=10-19"})
            assert (part.status_code, part.headers["content-length"]) == (206, "10")


def test_files_of_the_page_answer_head(served: Server) -> None:
    page = httpx.get(served.url).text
    paths = [part.split('"')[0] for part in page.split('href="')[1:] + page.split('src="')[1:]]
    paths = [path for path in paths if path.startswith(("/static/", "/vendor/"))]
    assert len(paths) > 2
    with httpx.Client(base_url=served.url) as http:
        for path in paths:
            compare(path, *get_both(http, path))


def test_a_head_of_what_is_not_there_says_so(served: Server) -> None:
    with httpx.Client(base_url=served.url) as http:
        get, head = get_both(http, MISSING)
        compare(MISSING, get, head)
        assert get.status_code == 404
        refused = http.head("/api/v1/estimate")
        assert (refused.status_code, refused.headers["allow"]) == (405, "POST")
        assert http.patch("/docs").headers["allow"] == "GET, HEAD"


@pytest.mark.full
def test_no_byte_of_a_body_is_sent(served: Server) -> None:
    for path in ("/", "/docs", "/api/v1/schema", MISSING):
        answer = ask(served, build("HEAD", path))
        assert answer.endswith(b"\r\n\r\n")
        assert b"\r\ncontent-length: " in answer.lower()


@pytest.mark.full
def test_head_of_an_event_stream_opens_none(launch: StartServer, fresh_spec: FreshSpec) -> None:
    own = launch("--workers", "1", "MAX_STREAMS=1")
    with httpx.Client(base_url=own.api, timeout=60) as http:
        run_id = start_long(http, fresh_spec(**LONG))
        path = f"/runs/{run_id}/events"
        for accept in ("text/event-stream", "application/x-ndjson"):
            begun = time.monotonic()
            head = http.head(path, headers={"Accept": accept})
            assert time.monotonic() - begun < 5
            assert read_gauges(own)["streams"] == 0
            with http.stream("GET", path, headers={"Accept": accept, "Connection": "keep-alive"}) as get:
                kept = [{k: v for k, v in one.headers.items() if k not in OWN} for one in (get, head)]
                assert (head.status_code, kept[1]) == (get.status_code, kept[0])
                chunks = get.iter_raw()
                assert next(chunks)
                assert http.head(path).status_code == 503, "as GET would"
            while read_gauges(own)["streams"]:
                time.sleep(0.02)
        http.delete(f"/runs/{run_id}")
        last = http.get(f"/runs/{run_id}").json()["frames"] - 1
        assert http.head(path, params={"after": last}).status_code == 204


@pytest.mark.full
def test_head_is_logged_and_counted_as_such(served: Server) -> None:
    httpx.head(f"{served.api}/panels")
    assert "HEAD /api/v1/panels" in Path(served.log).read_text()
    metrics = httpx.get(f"{served.url}/metrics").text
    assert 'mhc_http_requests_total{method="HEAD",route="/api/v1/panels",status="200"}' in metrics
