"""Whatever is posted, the answer names the field and the limit, and is never a 500."""

import json
from typing import Any

import httpx
import pytest

from tests.conftest import Server

# name: (body, status, field, part of what is wanted)
BAD_SPECS: dict[str, tuple[bytes, int, str, str]] = {
    "empty": (b"", 400, "body", "JSON"),
    "not json": (b"depth=64", 400, "body", "JSON"),
    "cut off": (b'{"depth": 6', 400, "body", "JSON"),
    "broken utf-8": (b'{"input": {"text": "\xff\xfe"}}', 400, "body", "UTF-8"),
    "lone surrogate": (b'{"input": {"text": "\\ud800"}}', 400, "body", "UTF-8"),
    "a list": (b"[]", 422, "body", "object"),
    "a number": (b"7", 422, "body", "object"),
    "a string": (b'"x"', 422, "body", "object"),
    "null": (b"null", 422, "body", "object"),
    "nested too deep": (b"[" * 100_000, 400, "body", "JSON"),
    "string for a number": (b'{"depth": "64"}', 422, "depth", "integer"),
    "true for a number": (b'{"depth": true}', 422, "depth", "integer"),
    "number with a fraction": (b'{"depth": 1.5}', 422, "depth", "integer"),
    "whole float for an integer": (b'{"depth": 64.0}', 422, "depth", "integer"),
    "nan": (b'{"connection": {"noise": NaN}}', 422, "connection.noise", "finite"),
    "infinity": (b'{"connection": {"noise": Infinity}}', 422, "connection.noise", "finite"),
    "1e400": (b'{"connection": {"noise": 1e400}}', 422, "connection.noise", "finite"),
    "nan for an integer": (b'{"depth": NaN}', 422, "depth", "integer"),
    "huge integer": (b'{"depth": 1' + b"0" * 400 + b"}", 422, "depth", "1024"),
    "too deep": (b'{"depth": 1025}', 422, "depth", "1024"),
    "no layers": (b'{"depth": 0}', 422, "depth", "1"),
    "negative seed": (b'{"seed": -1}', 422, "seed", "0"),
    "zero streams": (b'{"connection": {"streams": 0}}', 422, "connection.streams", "1"),
    "negative noise": (b'{"connection": {"noise": -0.1}}', 422, "connection.noise", "0"),
    "unknown kind": (b'{"connection": {"kind": "resnet"}}', 422, "connection.kind", "mhc"),
    "null for a part": (b'{"connection": null}', 422, "connection", "object"),
    "list for a part": (b'{"block": []}', 422, "block", "object"),
    "unknown field": (b'{"dept": 64}', 422, "dept", "depth"),
    "unknown field with a dot": (b'{"a.b": 1}', 422, "a.b", "depth"),
    "unknown field inside": (b'{"block": {"head": 4}}', 422, "block.head", "heads"),
    "heads do not divide the width": (b'{"width": 60, "block": {"heads": 7}}', 422, "block.heads", "60"),
    "empty text": (b'{"input": {"text": ""}}', 422, "input.text", "1"),
    "long text": (json.dumps({"input": {"text": "a" * 500_001}}).encode(), 422, "input.text", "500000"),
    "too few samples": (b'{"input": {"batch": 1, "tokens": 2}}', 422, "input.tokens", "4"),
    "edit with text for a number": (
        b'{"edits": [{"layers": [0, 0], "what": "h_res", "do": "set", "values": ["a"]}]}',
        422,
        "edits.0.values.0",
        "number",
    ),
    "training": (b'{"train": {"steps": 5001}}', 422, "train.steps", "5000"),
}


def check_problem(response: httpx.Response, status: int, field: str, wanted: str) -> dict[str, Any]:
    """The answer is a problem of that status which names that field and what is wanted there."""
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    problem: dict[str, Any] = response.json()
    assert {"type", "title", "status", "detail", "instance", "errors"} <= problem.keys()
    assert problem["status"] == status
    found = {error["field"]: error["wanted"] for error in problem["errors"]}
    assert wanted in found[field]
    return problem


@pytest.mark.sample(6)
@pytest.mark.parametrize("name", BAD_SPECS)
def test_a_bad_spec_is_refused_by_name(client: httpx.Client, name: str) -> None:
    body, status, field, wanted = BAD_SPECS[name]
    for route in ("/runs", "/estimate"):
        check_problem(client.post(route, content=body), status, field, wanted)


BAD_COMPARISONS: dict[str, tuple[bytes, int, str, str]] = {
    "an object": (b"{}", 422, "body", "list"),
    "empty": (b"[]", 422, "body", "1 to 8"),
    "a string": (b'"x"', 422, "body", "list"),
    "nine": (b"[" + b",".join([b"{}"] * 9) + b"]", 422, "body", "1 to 8"),
    "not json": (b"[{]", 400, "body", "JSON"),
    "broken utf-8": (b'["\xff"]', 400, "body", "UTF-8"),
    "a string inside": (b'[{}, "x"]', 422, "1", "object"),
    "nan inside": (b'[{}, {"connection": {"noise": NaN}}]', 422, "1.connection.noise", "finite"),
    "1e400 inside": (b'[{"connection": {"noise": 1e400}}]', 422, "0.connection.noise", "finite"),
    "huge integer": (b'[{"depth": 1' + b"0" * 400 + b"}]", 422, "0.depth", "1024"),
    "another seed": (b'[{"seed": 1}, {"seed": 2}]', 422, "1.seed", "same"),
    "another text": (b'[{}, {"input": {"text": "other"}}]', 422, "1.input", "same"),
}


@pytest.mark.sample(4)
@pytest.mark.parametrize("name", BAD_COMPARISONS)
def test_a_bad_comparison_is_refused_by_name(client: httpx.Client, name: str) -> None:
    body, status, field, wanted = BAD_COMPARISONS[name]
    check_problem(client.post("/runs/compare", content=body), status, field, wanted)


@pytest.mark.parametrize("name", ["another seed", "another text"])
def test_a_mixed_comparison_is_allowed_on_request(client: httpx.Client, name: str) -> None:
    small = {"depth": 2, "width": 16, "input": {"tokens": 8}}
    specs = [small | spec for spec in json.loads(BAD_COMPARISONS[name][0])]
    answer = client.post("/runs/compare", json=specs, params={"mixed": True})
    assert answer.status_code in (200, 202)
    assert len({run["id"] for run in answer.json()}) == 2


BAD_SNAPSHOTS: dict[str, tuple[bytes, str, str]] = {
    "empty": (b"", "body", "JSON"),
    "no runs": (b'{"runs": []}', "runs", "at least 1"),
    "runs missing": (b'{"state": "v=1"}', "runs", "required"),
    "number for a run": (b'{"runs": [1]}', "runs.0", "string"),
    "unknown field": (b'{"runs": ["a"], "colour": 1}', "colour", "no field of this name"),
    "long state": (json.dumps({"runs": ["a"], "state": "x" * 16_001}).encode(), "state", "16000"),
}


@pytest.mark.sample(3)
@pytest.mark.parametrize("name", BAD_SNAPSHOTS)
def test_a_bad_snapshot_is_refused_by_name(client: httpx.Client, name: str) -> None:
    body, field, wanted = BAD_SNAPSHOTS[name]
    check_problem(client.post("/snapshots", content=body), 422, field, wanted)


@pytest.mark.full
def test_30_megabytes_are_refused_before_they_are_read(client: httpx.Client) -> None:
    body = json.dumps({"input": {"text": "a" * 30_000_000}}).encode()
    check_problem(client.post("/runs", content=body), 413, "body", "1000000 bytes")


def test_a_body_without_a_length_is_counted_while_it_comes(client: httpx.Client) -> None:
    chunks = (b"a" * 100_000 for _ in range(50))
    response = client.post("/runs", content=chunks)
    assert response.request.headers["transfer-encoding"] == "chunked"
    check_problem(response, 413, "body", "1000000 bytes")


def test_a_body_just_within_the_limit_is_read(client: httpx.Client) -> None:
    body = b'{"depth": 0}'.ljust(1_000_000)
    check_problem(client.post("/runs", content=body), 422, "depth", "1")


def test_every_mistake_is_named_at_once(client: httpx.Client) -> None:
    response = client.post("/runs", content=b'{"depth": 0, "width": "x", "colour": 1}')
    assert {error["field"] for error in response.json()["errors"]} == {"depth", "width", "colour"}


def test_what_was_got_is_told_in_few_characters(client: httpx.Client) -> None:
    response = client.post("/runs", json={"depth": "9" * 100_000})
    assert len(response.content) < 2_000
    assert response.json()["errors"][0]["got"].startswith("999")


def test_errors_of_the_framework_are_problems(client: httpx.Client, server: Server) -> None:
    for response, status in (
        (client.get("/nothing"), 404),
        (client.get("/runs/unknown"), 404),
        (client.get("/runs/unknown/events"), 404),
        (client.get("/runs/unknown/result.xlsx"), 422),
        (client.put("/runs", json={}), 405),
        (httpx.get(f"{server.url}/s/unknown"), 404),
        (httpx.get(f"{server.url}/static/nothing.js"), 404),
    ):
        assert response.status_code == status
        assert response.headers["content-type"] == "application/problem+json"
        assert response.json()["status"] == status


def test_the_server_did_not_crash_once(server: Server) -> None:
    """Last in this file: nothing above left a traceback in the log."""
    assert "Traceback" not in server.log.read_text()
