"""What spoofed addresses and pages of other sites try."""

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.app.engine.test_cancel import LONG
from tests.conftest import Server
from tests.service.conftest import start_service
from tests.service.ownership.conftest import SSO, Clients, FreshSpec

pytestmark = pytest.mark.full


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that trusts no proxy on this machine."""
    flags = ("--no-precompute", "--workers", "1", "--forwarded-allow-ips", "192.0.2.1", "--sso-header", SSO)
    running = start_service(tmp_path_factory.mktemp("bare"), *flags, ready="/livez")
    yield running
    running.kill()


@pytest.mark.attack("spoofed address")
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


@pytest.mark.attack("CSRF")
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
    clients: Clients, view: dict[str, Any], headers: dict[str, str], fresh_spec: FreshSpec
) -> None:
    ann, _ = clients
    for method, path in (("DELETE", f"/snapshots/{view['id']}"), ("POST", "/runs"), ("DELETE", "/runs/x")):
        answer = ann.request(method, path, headers=headers, content=json.dumps(fresh_spec()))
        assert (answer.status_code, answer.json()["type"]) == (403, "/docs#problem-foreign-origin")
    assert ann.get(f"/snapshots/{view['id']}").status_code == 200
    # Its own page may.
    own = {"Origin": str(ann.base_url).removesuffix("/api/v1/"), "Sec-Fetch-Site": "same-origin"}
    assert ann.delete(f"/snapshots/{view['id']}", headers=own).status_code == 200
