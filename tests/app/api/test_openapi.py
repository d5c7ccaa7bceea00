"""The OpenAPI description: every answer has a schema, every operation a short name, every error is a problem."""

import json
import re
from collections.abc import Iterator
from typing import Any

import httpx
import orjson
import pytest
from jsonschema import Draft202012Validator
from pydantic import BaseModel

from mhc_core.figures import PANELS
from mhc_core.metrics import to_catalogue
from mhc_scope.api.models.descriptions import PresetsBody, PreviewsBody
from mhc_scope.api.models.figures import FigureBody, PanelsBody
from mhc_scope.api.models.results import ResultBody
from mhc_scope.api.models.verifications import VerificationBody
from mhc_scope.api.problems import Problem
from mhc_scope.api.stream import parse_cursors
from mhc_scope.presets import PRESETS
from tests.app.api.test_bodies import check_problem
from tests.conftest import Server, compute

MAX_ID = 25
SPEC = {"depth": 4, "width": 16, "seed": 515, "input": {"tokens": 16}, "connection": {"kind": "hc"}}
TRAINED = {**SPEC, "train": {"steps": 3}}
PROBLEM = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}


@pytest.fixture(scope="module")
def openapi(server: Server) -> dict[str, Any]:
    """The description as clients read it."""
    described: dict[str, Any] = httpx.get(f"{server.url}/openapi.json").json()
    return described


@pytest.fixture(scope="module")
def run_id(server: Server) -> str:
    """A run that trains: its result has every table."""
    with httpx.Client(base_url=server.api, timeout=60) as http:
        return compute(http, TRAINED)


def list_operations(openapi: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Every operation of the description."""
    for methods in openapi["paths"].values():
        yield from methods.values()


def test_every_answer_has_a_schema(openapi: dict[str, Any]) -> None:
    without = []
    for operation in list_operations(openapi):
        answers = {code: answer for code, answer in operation["responses"].items() if code.startswith("2")}
        assert answers, operation["operationId"]
        for code, answer in answers.items():
            contents = answer.get("content", {}).values()
            is_described = bool(contents) and all(content.get("schema") for content in contents)
            # 204 says that there is no body.
            if is_described == (code == "204"):
                without.append((operation["operationId"], code))
    assert without == []


def test_operations_have_short_names_of_their_own(openapi: dict[str, Any]) -> None:
    names = [operation["operationId"] for operation in list_operations(openapi)]
    assert len(set(names)) == len(names)
    assert [name for name in names if not re.fullmatch(r"[a-z]+(_[a-z]+)*", name) or len(name) > MAX_ID] == []
    assert {"submit_run", "compare_runs", "get_run", "stream_run", "get_result", "get_figure"} <= set(names)


def test_every_error_is_a_problem(openapi: dict[str, Any], client: httpx.Client) -> None:
    for operation in list_operations(openapi):
        assert operation["responses"]["default"]["content"] == PROBLEM, operation["operationId"]
        assert not {"400", "404", "409", "422"} & operation["responses"].keys()
    problem = openapi["components"]["schemas"]["Problem"]
    refused = client.post("/runs", json={"depth": 0})
    check_problem(refused, 422, "depth", "1")
    assert refused.json().keys() == problem["properties"].keys() == set(problem["required"])
    item = openapi["components"]["schemas"]["FieldError"]
    assert refused.json()["errors"][0].keys() == item["properties"].keys()


def test_the_forms_of_an_answer_are_described(openapi: dict[str, Any]) -> None:
    paths = openapi["paths"]

    def forms(path: str, method: str = "get", code: str = "200") -> list[str]:
        return list(paths[f"/api/v1{path}"][method]["responses"][code]["content"])

    assert forms("/runs/{run_id}/result") == ["application/json", "text/csv", "application/octet-stream"]
    assert forms("/runs/{run_id}/result.npz") == ["application/octet-stream"]
    assert forms("/runs/{run_id}/events") == ["text/event-stream", "application/x-ndjson"]
    # What generated clients take comes first.
    assert forms("/runs/compare", "post", "200") == ["application/json", "text/event-stream"]
    assert forms("/runs/compare", "post", "202") == ["application/json", "text/event-stream"]


def check_described(model: type[BaseModel], body: Any) -> None:
    """The model takes the body and knows every field of it."""
    assert model.model_validate(body).model_dump(mode="json", by_alias=True, exclude_unset=True) == body


def test_bodies_that_are_sent_as_they_are_have_the_described_shape(client: httpx.Client, run_id: str) -> None:
    check_described(PanelsBody, client.get("/panels").json())
    for arrays in ("nested", "packed"):
        check_described(ResultBody, client.get(f"/runs/{run_id}/result", params={"arrays": arrays}).json())
    for panel in PANELS:
        check_described(FigureBody, client.get(f"/runs/{run_id}/figures/{panel}").json())
    check_described(FigureBody, client.post("/costs/figure", json=SPEC).json())
    check_described(VerificationBody, client.post(f"/runs/{run_id}/verify").json())


def test_what_a_result_has_beside_its_tables_is_of_the_start_frame(client: httpx.Client, run_id: str) -> None:
    lines = client.get(f"/runs/{run_id}/events", headers={"Accept": "application/x-ndjson"}).text.splitlines()
    result = client.get(f"/runs/{run_id}/result").json()
    assert result.keys() - ResultBody.model_fields.keys() <= json.loads(lines[0]).keys()


def test_no_field_is_lost_of_what_is_described(client: httpx.Client) -> None:
    catalogue = orjson.loads(orjson.dumps(to_catalogue()))
    assert client.get("/metrics-catalogue").json() == {"metrics": catalogue}
    presets = client.get("/presets").json()
    assert presets["presets"] == json.loads(json.dumps([preset.to_plain() for preset in PRESETS]))
    check_described(PresetsBody, presets)
    previews = client.get("/presets/previews").json()
    assert [preview["name"] for preview in previews["previews"]] == [preset.name for preset in PRESETS]
    check_described(PreviewsBody, previews)


def test_streams_name_the_schema_of_their_frames(openapi: dict[str, Any], client: httpx.Client, run_id: str) -> None:
    for path in ("/api/v1/runs/{run_id}/events", "/api/v1/runs/events"):
        for content in openapi["paths"][path]["get"]["responses"]["200"]["content"].values():
            assert content["x-item-schema"] == {"$ref": "#/components/schemas/Frame"}
    validator = Draft202012Validator({"$ref": "#/components/schemas/Frame", "components": openapi["components"]})
    lines = client.get(f"/runs/{run_id}/events", headers={"Accept": "application/x-ndjson"}).text.splitlines()
    assert all(validator.is_valid(json.loads(line)) for line in lines)
    assert not validator.is_valid(json.loads(lines[0]) | {"layers": "all"})


def list_needs(openapi: dict[str, Any]) -> dict[str, set[str]]:
    """Return the kinds of credentials of which each operation needs one."""
    return {
        operation["operationId"]: {name for item in operation["security"] for name in item}
        for operation in list_operations(openapi)
        if operation.get("security") and {} not in operation["security"]
    }


def test_without_accounts_only_keys_are_described(openapi: dict[str, Any]) -> None:
    assert openapi["components"]["securitySchemes"].keys() == {"key"}
    assert openapi["security"] == [{}]
    assert list_needs(openapi) == {name: {"key"} for name in ("feed_live_trace", "end_live_trace")}


def test_every_call_is_on_the_page_of_the_interface(openapi: dict[str, Any], server: Server) -> None:
    page = httpx.get(f"{server.url}/docs").text
    for path, methods in openapi["paths"].items():
        for method in methods:
            assert f"<h3>{method.upper()} {path}</h3>" in page
    for name, scheme in openapi["components"]["securitySchemes"].items():
        assert f"<td><code>{name}</code></td>" in page
        assert scheme["description"].split("`")[0].strip() in page


def test_a_method_that_is_not_there_is_refused_with_those_that_are(openapi: dict[str, Any], server: Server) -> None:
    for path, methods in openapi["paths"].items():
        refused = httpx.request("PATCH", server.url + re.sub(r"{\w+}", "nothing", path))
        assert refused.status_code == 405, path
        allowed = {method.upper() for method in methods} | ({"HEAD"} if "get" in methods else set())
        assert set(refused.headers["Allow"].split(", ")) == allowed, path
    assert httpx.request("PATCH", f"{server.url}/docs").headers["Allow"] == "GET, HEAD"


def test_indices_are_described_as_they_are_taken(openapi: dict[str, Any]) -> None:
    texts = ["", "-1", "0", "999999999", "1,2", "-2", "+1", " 1", "1_0", "x", "1,", ",", "9" * 10, "\u0661"]
    for path, runs in (("/api/v1/runs/{run_id}/events", 1), ("/api/v1/runs/events", 2)):
        (after,) = (item for item in openapi["paths"][path]["get"]["parameters"] if item["name"] == "after")
        told = after["schema"].get("pattern") or after["schema"]["anyOf"][0]["pattern"]
        for text in texts:
            is_told = re.fullmatch(told, text) is not None and text.count(",") in (0, runs - 1)
            if text and text.count(",") != runs - 1:  # how many there must be, a pattern cannot say
                continue
            assert is_told == is_taken(text, runs), text


def is_taken(text: str, runs: int) -> bool:
    """Whether the text is parsed."""
    try:
        return len(parse_cursors(text, runs)) == runs
    except Problem:
        return False
