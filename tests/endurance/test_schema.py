"""The short form of the trial by Schemathesis: a few cases of each operation."""

import json
from pathlib import Path

import pytest

from tests.endurance.schema import NOT_TOLD, describe_streams, read_cases, run
from tests.endurance.schema import to_settings as to_text


@pytest.mark.trial
def test_requests_made_up_of_the_description_break_no_check() -> None:
    rows = run(["--cases", "500", "--seconds", "20"])  # the first case of an operation is always its smallest
    assert [row.measure for row in rows if row.limit == 0 and not row.is_met] == []


def test_what_broke_a_check_is_read(tmp_path: Path) -> None:
    failed = {"name": "not_a_server_error", "status": "failure", "failure_info": {"failure": {"message": "500"}}}
    record = {
        "label": "GET /livez",
        "interactions": {"a": {"response": {"status_code": 500}}, "b": {"response": None}},
        "checks": {"a": [failed], "b": [{"name": "not_a_server_error", "status": "success"}]},
    }
    events = tmp_path / "events.ndjson"
    events.write_text('{"EngineStarted": {}}\n' + json.dumps({"ScenarioFinished": {"recorder": record}}) + "\n")
    assert list(read_cases(events)) == [("GET /livez", 500, ["not_a_server_error: 500"]), ("GET /livez", 0, [])]


def test_streams_are_described_by_their_items() -> None:
    content = {
        "text/event-stream": {"schema": {"type": "string"}},
        "application/x-ndjson": {"schema": {"type": "string"}, "x-item-schema": {"$ref": "#/components/schemas/Frame"}},
    }
    described = describe_streams({"paths": {"/a": {"get": {"responses": {"200": {"content": content}}}}}})
    assert described["openapi"] == "3.2.0"
    assert content["application/x-ndjson"] == {"itemSchema": {"$ref": "#/components/schemas/Frame"}}
    assert content["text/event-stream"]["itemSchema"]["type"] == "object"


def test_each_check_that_is_left_out_has_its_reason() -> None:
    text = to_text(NOT_TOLD)
    for reason, names in NOT_TOLD.items():
        assert f"# {reason}\n" in text
        assert json.dumps(names) in text
