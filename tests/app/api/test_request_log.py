"""One line a request, with the id that the answer has; and never a secret."""

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.conftest import Server, start_server

SECRET = "s3cr3t-of-somebody"


@pytest.fixture(scope="module")
def logged(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server whose log is JSON; no run is computed."""
    running = start_server(
        tmp_path_factory.mktemp("logged"), "--no-precompute", "--workers", "1", "--log-format", "json", ready="/livez"
    )
    yield running
    running.kill()


def read_lines(log: Path, request_id: str, count: int = 1) -> list[dict[str, Any]]:
    """What the log says of a request; it is written once the answer has been sent."""
    deadline = time.monotonic() + 10
    while True:
        lines = [json.loads(line) for line in log.read_text().splitlines(keepends=True) if line.endswith("\n")]
        found = [line for line in lines if line.get("request") == request_id]
        if len(found) >= count or time.monotonic() > deadline:
            return found
        time.sleep(0.02)


def test_a_request_is_one_line_with_what_was_answered(logged: Server) -> None:
    answer = httpx.get(f"{logged.api}/panels", headers={"X-Request-ID": "mine-1", "Accept-Encoding": "identity"})
    assert answer.headers["x-request-id"] == "mine-1"
    (line,) = read_lines(logged.log, "mine-1")
    assert line["message"] == "GET /api/v1/panels"
    assert (line["status"], line["bytes"], line["logger"]) == (200, len(answer.content), "mhc.request")
    assert 0 < line["ms"] < 60_000


def test_a_refusal_says_its_kind_run_and_client(logged: Server) -> None:
    answer = httpx.get(f"{logged.api}/runs/none", headers={"X-Request-ID": "mine-2"})
    assert answer.status_code == 404
    (line,) = read_lines(logged.log, "mine-2")
    assert (line["status"], line["problem"], line["run"]) == (404, "not-found", "none")
    refused = httpx.post(f"{logged.api}/runs", json={"depth": 0}, headers={"X-Request-ID": "mine-3"})
    assert refused.status_code == 422
    (line,) = read_lines(logged.log, "mine-3")
    assert line["problem"] == "invalid-spec"


def test_a_refusal_before_any_route_is_counted_too(logged: Server) -> None:
    headers = {"X-Request-ID": "mine-4", "Origin": "https://elsewhere.example"}
    assert httpx.post(f"{logged.api}/runs", json={}, headers=headers).status_code == 403
    (line,) = read_lines(logged.log, "mine-4")
    assert line["problem"] == "foreign-origin"


@pytest.mark.sample(4)
@pytest.mark.parametrize("given", [None, "", "x" * 65, "a b", "a\u00e9".encode(), "../../etc", '{"a":1}'])
def test_an_id_that_is_not_plain_is_replaced(logged: Server, given: str | bytes | None) -> None:
    headers = {} if given is None else {"X-Request-ID": given}
    told = httpx.get(f"{logged.url}/livez", headers=headers).headers["x-request-id"]  # type: ignore[arg-type]
    assert len(told) == 32
    assert len(read_lines(logged.log, told)) == 1


def test_no_secret_is_logged(logged: Server) -> None:
    headers = {"Authorization": f"Bearer {SECRET}", "Cookie": f"c={SECRET}", "X-Request-ID": "mine-5"}
    httpx.get(f"{logged.api}/runs/none", params={"viewer": SECRET}, headers=headers)
    httpx.post(f"{logged.api}/runs", content=SECRET, headers=headers)
    httpx.post(f"{logged.api}/runs", json={"input": {"text": SECRET, "tokens": -1}}, headers=headers)
    httpx.post(f"{logged.api}/traces/none/frames", content=SECRET, headers=headers)
    assert len(read_lines(logged.log, "mine-5", 4)) == 4
    assert SECRET not in logged.log.read_text()
