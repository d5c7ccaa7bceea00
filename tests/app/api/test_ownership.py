"""Whose things are whose, against a real server: what other clients, other sites and spoofed addresses try."""

import json
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.services.identity import new_cookie
from tests.app.engine.test_cancel import LONG, start_long
from tests.conftest import Server, compute, start_server, wait_for_end

FreshSpec = Callable[..., dict[str, Any]]
COOKIE = re.compile(r"mhc_client=([\w-]{32}); HttpOnly; Max-Age=\d+; Path=/; SameSite=Lax")
HERE = "127.0.0.1"
SSO = "X-Remote-User"


def give_token(data: Path, *options: str) -> str:
    """A token, from the command line, beside a running server."""
    arguments = [sys.executable, "-m", "app", "token", "add", "ann", *options, "--data", str(data)]
    return subprocess.run(arguments, capture_output=True, text=True, check=True).stdout.strip()


def join(http: httpx.Client, **headers: str) -> httpx.Client:
    """A client of its own, with a cookie as a browser has one."""
    return httpx.Client(base_url=http.base_url, timeout=60, cookies={"mhc_client": new_cookie()}, headers=headers)


@pytest.fixture
def clients(client: httpx.Client) -> Iterator[tuple[httpx.Client, httpx.Client]]:
    """Ann and Ben, two browsers at one address."""
    with join(client) as ann, join(client) as ben:
        yield ann, ben


@pytest.fixture
def view(clients: tuple[httpx.Client, httpx.Client], fresh_spec: FreshSpec) -> dict[str, Any]:
    """A view that Ann has stored."""
    ann, _ = clients
    answer = ann.post("/snapshots", json={"runs": [compute(ann, fresh_spec())], "title": "Ann's"})
    assert answer.status_code == 201
    body: dict[str, Any] = answer.json()
    return body


@pytest.fixture(scope="module")
def closed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Server, dict[str, str]]]:
    """A server that lets those without a token look only, and its tokens by their rights."""
    data = tmp_path_factory.mktemp("closed")
    running = start_server(data, "--no-precompute", "--workers", "1", "--anonymous", "read", "--sso-header", SSO)
    yield running, {rights: give_token(data, "--rights", rights) for rights in ("read", "run", "admin")}
    running.kill()


# Cookies.


def test_a_page_gives_a_browser_its_cookie_once(server: Server) -> None:
    first = httpx.get(server.url)
    found = COOKIE.fullmatch(first.headers["set-cookie"])
    assert found
    again = httpx.get(server.url, cookies={"mhc_client": found[1]})
    assert "set-cookie" not in again.headers
    # What this server never gives out is replaced.
    assert "set-cookie" in httpx.get(server.url, cookies={"mhc_client": "token:abc"}).headers


def test_an_answer_to_a_page_gives_it_one_and_a_script_gets_none(server: Server) -> None:
    assert "set-cookie" in httpx.get(f"{server.api}/presets", headers={"Sec-Fetch-Site": "same-origin"}).headers
    assert "set-cookie" not in httpx.get(f"{server.api}/presets").headers
    assert "set-cookie" not in httpx.get(f"{server.api}/presets", headers={"Sec-Fetch-Site": "cross-site"}).headers
    assert "set-cookie" not in httpx.get(f"{server.url}/embed/nothing", headers={"Accept": "text/html"}).headers


def test_over_https_the_cookie_is_sent_over_https_alone(server: Server) -> None:
    answer = httpx.get(server.url, headers={"X-Forwarded-Proto": "https"})
    assert answer.headers["set-cookie"].endswith("; Secure")


# Runs.


@pytest.mark.parametrize("how", ["cookie", "new cookie", "none", "her address as viewer", "viewer"])
def test_another_client_does_not_cancel_a_run(
    clients: tuple[httpx.Client, httpx.Client], client: httpx.Client, fresh_spec: FreshSpec, how: str
) -> None:
    ann, ben = clients
    run_id = ann.post("/runs", json=fresh_spec(**LONG)).json()["id"]
    viewer = {"her address as viewer": HERE, "viewer": "hers"}.get(how, "")
    with ExitStack() as stack:
        other = {"cookie": ben, "none": client}.get(how) or stack.enter_context(join(client))
        answer = other.delete(f"/runs/{run_id}", params={"viewer": viewer} if viewer else {})
    assert answer.status_code == 200  # a page that moves on sends this for runs that others asked for first
    assert answer.json()["status"] in ("queued", "running")
    assert "another client" in answer.json()["detail"]
    assert ann.delete(f"/runs/{run_id}").json()["status"] == "cancelled"


def test_a_viewers_token_is_none_in_another_mouth(
    clients: tuple[httpx.Client, httpx.Client], fresh_spec: FreshSpec
) -> None:
    ann, ben = clients
    run_id = start_long(ann, fresh_spec(**LONG))
    with ben.stream("GET", f"/runs/{run_id}/events", params={"viewer": "page"}) as stream:
        chunks = stream.iter_raw()  # closes the stream where nothing holds it
        next(chunks)
        # Ann says that she is the viewer whose stream is open: with her own cookie she is not.
        left = ann.delete(f"/runs/{run_id}", params={"viewer": "page"}).json()
        assert (left["status"], left["watchers"]) == ("running", 1)


def test_a_viewers_own_stream_does_not_hold_up_its_delete(
    clients: tuple[httpx.Client, httpx.Client], fresh_spec: FreshSpec
) -> None:
    ann, _ = clients
    run_id = start_long(ann, fresh_spec(**LONG))
    with ann.stream("GET", f"/runs/{run_id}/events", params={"viewer": "page"}) as stream:
        chunks = stream.iter_raw()  # closes the stream where nothing holds it
        next(chunks)
        assert ann.delete(f"/runs/{run_id}", params={"viewer": "page"}).json()["status"] == "cancelled"


def test_what_a_script_made_any_at_its_address_may_cancel(
    clients: tuple[httpx.Client, httpx.Client], client: httpx.Client, fresh_spec: FreshSpec
) -> None:
    run_id = client.post("/runs", json=fresh_spec(**LONG)).json()["id"]
    assert clients[0].delete(f"/runs/{run_id}").json()["status"] == "cancelled"


def test_a_sweep_ends_when_all_who_asked_for_it_have_left(
    clients: tuple[httpx.Client, httpx.Client], client: httpx.Client, fresh_spec: FreshSpec
) -> None:
    ann, ben = clients
    grid = {"spec": fresh_spec(**LONG), "x": {"field": "connection.noise", "values": [0.1, 0.2, 0.3]}}
    sweep = ann.post("/runs/sweep", json=grid).json()["links"]["self"].removeprefix("/api/v1")
    with join(client) as stranger:
        refused = stranger.delete(sweep)
    assert (refused.status_code, refused.json()["type"]) == (403, "/docs#problem-not-owner")
    assert ben.post("/runs/sweep", json=grid).status_code == 202
    assert ann.delete(sweep).json()["is_open"] is True  # Ben wants it still
    assert ann.delete(sweep).status_code == 403
    assert ben.delete(sweep).json()["is_open"] is False


# Views.


def test_a_view_is_told_with_its_key_once(
    clients: tuple[httpx.Client, httpx.Client], view: dict[str, Any], server: Server
) -> None:
    ann, ben = clients
    same = {name: view[name] for name in ("runs", "title")}
    for other in (ann, ben):
        again = other.post("/snapshots", json=same)
        assert (again.status_code, again.json()["id"], again.json()["key"]) == (200, view["id"], None)
    assert len(view["key"]) == 32
    assert "key" not in ben.get(f"/snapshots/{view['id']}").json()
    for place in (f"{server.url}/s/{view['id']}", f"{server.api}/snapshots/{view['id']}"):
        assert view["key"] not in httpx.get(place).text


@pytest.mark.parametrize("key", ["", "x", "mine", "mhc_0123456789abcdef_" + "x" * 43, "null", "None", "\0"])
def test_without_its_key_another_does_not_delete_a_view(
    clients: tuple[httpx.Client, httpx.Client], view: dict[str, Any], fresh_spec: FreshSpec, key: str
) -> None:
    _, ben = clients
    url = f"/snapshots/{view['id']}"
    if key == "mine":
        key = ben.post("/snapshots", json={"runs": [compute(ben, fresh_spec())]}).json()["key"]
    headers = {} if not key else {"Authorization": f"Bearer {key}"}
    if "\0" not in key:
        assert ben.delete(url, headers=headers).status_code == (401 if key.startswith("mhc_") else 403)
    assert ben.delete(url, params={"key": view["key"]}).status_code == 403  # it belongs in the header
    assert ben.get(url).status_code == 200


@pytest.mark.parametrize("how", ["client", "key"])
def test_its_owner_deletes_a_view(
    clients: tuple[httpx.Client, httpx.Client], view: dict[str, Any], server: Server, how: str
) -> None:
    ann, ben = clients
    url, run_id = f"/snapshots/{view['id']}", view["runs"][0]
    assert ben.get(f"/runs/{run_id}").json()["pinned"] is True
    gone = ann.delete(url) if how == "client" else ben.delete(url, headers={"Authorization": f"Bearer {view['key']}"})
    assert gone.status_code == 200
    assert ann.get(url).status_code == ann.delete(url).status_code == 404
    assert httpx.get(f"{server.url}/s/{view['id']}").status_code == 404
    assert ann.get(f"/runs/{run_id}").json()["pinned"] is False


def test_a_run_that_another_view_holds_stays(clients: tuple[httpx.Client, httpx.Client], view: dict[str, Any]) -> None:
    ann, ben = clients
    run_id = view["runs"][0]
    other = ben.post("/snapshots", json={"runs": [run_id], "title": "Ben's"}).json()
    ann.delete(f"/snapshots/{view['id']}")
    assert ann.get(f"/runs/{run_id}").json()["pinned"] is True
    ben.delete(f"/snapshots/{other['id']}")
    assert ann.get(f"/runs/{run_id}").json()["pinned"] is False


def test_a_client_is_shown_its_own_views(clients: tuple[httpx.Client, httpx.Client], view: dict[str, Any]) -> None:
    ann, ben = clients
    (entry,) = ann.get("/snapshots?mine=true").json()
    assert entry.keys() == {"id", "url", "title", "created_at", "expires_at", "bytes"}
    assert (entry["id"], entry["title"]) == (view["id"], "Ann's")
    assert entry["expires_at"] > entry["created_at"]
    assert entry["bytes"] > 20
    assert ben.get("/snapshots").json() == []


# Tokens.


@pytest.mark.parametrize(
    "header",
    ["Bearer", "Bearer x", "bearer mhc_", "Bearer mhc_0123456789abcdef_" + "x" * 43, "Bearer ' OR 1=1 --"],
)
def test_a_wrong_token_is_not_taken_for_none(server: Server, header: str) -> None:
    for method, path in (("GET", "/presets"), ("POST", "/runs"), ("GET", "/snapshots")):
        answer = httpx.request(method, f"{server.api}{path}", headers={"Authorization": header}, json={})
        assert answer.status_code == 401
        assert answer.headers["www-authenticate"] == 'Bearer error="invalid_token"'


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/runs"),
        ("POST", "/runs/compare"),
        ("POST", "/runs/sweep"),
        ("POST", "/runs/nothing/verify"),
        ("DELETE", "/runs/nothing"),
        ("DELETE", "/runs/sweep/nothing"),
        ("POST", "/snapshots"),
        ("POST", "/traces"),
        ("POST", "/traces/live"),
    ],
)
def test_who_may_only_look_starts_and_changes_nothing(
    closed: tuple[Server, dict[str, str]], method: str, path: str
) -> None:
    server, tokens = closed
    refused = httpx.request(method, f"{server.api}{path}")
    assert (refused.status_code, refused.headers["www-authenticate"]) == (401, "Bearer")
    reader = httpx.request(method, f"{server.api}{path}", headers={"Authorization": f"Bearer {tokens['read']}"})
    assert (reader.status_code, reader.json()["type"]) == (403, "/docs#problem-no-right")
    allowed = httpx.request(method, f"{server.api}{path}", headers={"Authorization": f"Bearer {tokens['run']}"})
    assert allowed.status_code not in (401, 403)


def test_who_may_look_sees_the_page(closed: tuple[Server, dict[str, str]]) -> None:
    server, _ = closed
    assert httpx.get(server.url).status_code == 200
    assert httpx.get(f"{server.api}/presets").status_code == 200
    assert httpx.post(f"{server.api}/estimate", json={}).status_code == 200  # it starts nothing


def test_an_admin_cancels_any_run_and_deletes_any_view(
    closed: tuple[Server, dict[str, str]], fresh_spec: FreshSpec
) -> None:
    server, tokens = closed
    http = httpx.Client(base_url=server.api, timeout=60)
    with http, join(http, Authorization=f"Bearer {tokens['run']}") as ann:
        run_id = compute(ann, fresh_spec())
        view = ann.post("/snapshots", json={"runs": [run_id]}).json()
        assert view["expires_at"] is None  # a token keeps for good
        long = ann.post("/runs", json=fresh_spec(**LONG)).json()["id"]
        with join(http, Authorization=f"Bearer {tokens['admin']}") as admin:
            assert admin.delete(f"/runs/{long}").json()["status"] == "cancelled"
            assert admin.delete(f"/snapshots/{view['id']}").status_code == 200


def test_where_nobody_may_look_without_a_token(tmp_path: Path, fresh_spec: FreshSpec) -> None:
    server = start_server(tmp_path, "--no-precompute", "--workers", "1", "--anonymous", "none", ready="/livez")
    try:
        token = give_token(tmp_path, "--rights", "read", "--days", "1")
        for path in ("/", "/docs", "/api/v1/presets", "/api/v1/runs/x", "/s/x", "/embed/x", "/api/v1/schema"):
            assert httpx.get(f"{server.url}{path}").status_code == 401, path
        assert httpx.get(f"{server.url}/livez").status_code == 200
        assert httpx.get(f"{server.api}/presets", headers={"Authorization": f"Bearer {token}"}).status_code == 200
    finally:
        server.kill()


# Proxies.


def test_a_trusted_proxy_names_the_client(closed: tuple[Server, dict[str, str]], fresh_spec: FreshSpec) -> None:
    server, _ = closed
    with httpx.Client(base_url=server.api, headers={SSO: "ann"}, timeout=60) as ann:
        run_id = ann.post("/runs", json=fresh_spec(**LONG)).json()["id"]
        assert ann.delete(f"/runs/{run_id}", headers={SSO: "ben"}).json()["status"] != "cancelled"
        assert ann.delete(f"/runs/{run_id}").json()["status"] == "cancelled"


def test_two_names_are_no_name(closed: tuple[Server, dict[str, str]]) -> None:
    server, _ = closed
    answer = httpx.post(f"{server.api}/runs", headers=[(SSO, "mallory"), (SSO, "ann")], json={})
    assert answer.status_code == 400


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that trusts no proxy on this machine."""
    flags = ("--workers", "1", "--forwarded-allow-ips", "192.0.2.1", "--sso-header", SSO, "--client-streams", "1")
    running = start_server(
        tmp_path_factory.mktemp("bare"), "--no-precompute", *flags, "--address-streams", "2", ready="/livez"
    )
    yield running
    running.kill()


@pytest.mark.parametrize(
    "spoofed",
    [
        {"X-Forwarded-For": "198.51.100.1"},
        {"X-Forwarded-For": "192.0.2.1, 198.51.100.1"},
        {"Forwarded": "for=198.51.100.1"},
        {"X-Real-IP": "198.51.100.1"},
        {SSO: "ann"},
        {"X-Forwarded-For": "198.51.100.1", SSO: "ann"},
        {"X-Remote-User": "admin"},
    ],
)
def test_what_a_peer_says_of_itself_changes_nothing(
    bare: Server, fresh_spec: FreshSpec, spoofed: dict[str, str]
) -> None:
    with httpx.Client(base_url=bare.api, timeout=60) as ann:
        run_id = ann.post("/runs", json=fresh_spec(**LONG), headers=spoofed).json()["id"]
        # It was this address's after all: everyone here may cancel it.
        assert ann.delete(f"/runs/{run_id}").json()["status"] == "cancelled"


def test_a_trusted_proxy_and_no_one_else_says_the_address(
    closed: tuple[Server, dict[str, str]], fresh_spec: FreshSpec
) -> None:
    server, _ = closed
    headers = {"X-Forwarded-For": "203.0.113.9, 198.51.100.1", SSO: ""}
    refused = httpx.post(f"{server.api}/runs", headers=headers, json=fresh_spec())
    assert refused.status_code == 401  # an empty name is none


# Streams.


def test_streams_are_a_share_of_the_client_and_of_its_address(bare: Server, fresh_spec: FreshSpec) -> None:
    http = httpx.Client(base_url=bare.api, timeout=60)
    with http, join(http) as ann, join(http) as ben, join(http) as cleo, ExitStack() as stack:
        run_id = ann.post("/runs", json=fresh_spec(**LONG)).json()["id"]
        url = f"/runs/{run_id}/events"
        for other in (ann, ben):
            assert stack.enter_context(other.stream("GET", url)).status_code == 200
        for other, whose in ((ann, "this client"), (cleo, "all clients of this address")):
            refused = other.get(url)
            assert refused.status_code == 429
            assert int(refused.headers["retry-after"]) > 0
            assert whose in refused.json()["detail"]
        # A comparison that could not be followed is not started.
        spec = fresh_spec()
        asked = {"json": [spec], "headers": {"Accept": "text/event-stream"}}
        assert cleo.post("/runs/compare", **asked).status_code == 429  # type: ignore[arg-type]
        assert cleo.get(f"/runs/{ann.post('/estimate', json=spec).json()['id']}").status_code == 404
        assert ann.delete(f"/runs/{run_id}").json()["watchers"] == 1  # Ben's


# Other sites' pages.


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example.org"},
        {"Origin": "null"},
        {"Origin": "https://evil.example.org", "Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Origin": "http://127.0.0.1:1", "Sec-Fetch-Site": "same-site"},
        {"Origin": "https://127.0.0.1.evil.example.org"},
    ],
)
def test_another_sites_page_changes_nothing(
    clients: tuple[httpx.Client, httpx.Client], view: dict[str, Any], headers: dict[str, str], fresh_spec: FreshSpec
) -> None:
    ann, _ = clients
    for method, path in (("DELETE", f"/snapshots/{view['id']}"), ("POST", "/runs"), ("DELETE", "/runs/x")):
        answer = ann.request(method, path, headers=headers, content=json.dumps(fresh_spec()))
        assert (answer.status_code, answer.json()["type"]) == (403, "/docs#problem-foreign-origin")
    assert ann.get(f"/snapshots/{view['id']}").status_code == 200
    # Its own page may.
    own = {"Origin": str(ann.base_url).removesuffix("/api/v1/"), "Sec-Fetch-Site": "same-origin"}
    assert ann.delete(f"/snapshots/{view['id']}", headers=own).status_code == 200


def test_expensive_reads_are_a_share(launch: Callable[..., Server], fresh_spec: FreshSpec) -> None:
    flags = ("--client-read-bytes", "300000", "--address-read-bytes", "700000")
    server = launch("--workers", "1", *flags)
    http = httpx.Client(base_url=server.api, timeout=60)
    with http, join(http) as ann, join(http) as ben:
        run_id = compute(ann, fresh_spec())
        wait_for_end(ann, run_id)
        paths = ("result.json", "result.csv", "figures/gain", "composite", "result.npz")
        codes = [ann.get(f"/runs/{run_id}/{path}").status_code for path in paths]
        assert codes == [200, 200, 200, 429, 429]
        refused = ann.get(f"/runs/{run_id}/result.json")
        assert refused.json()["type"] == "/docs#problem-too-much-read"
        assert 0 < int(refused.headers["retry-after"]) <= 60
        assert ben.get(f"/runs/{run_id}/result.json").status_code == 200
        # Frames are the run itself, and not made anew for each who asks.
        assert ann.get(f"/runs/{run_id}/events").status_code == 200
