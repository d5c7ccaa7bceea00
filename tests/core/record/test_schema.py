"""The JSON schema of frames: it fits what is sent, and what is generated and written from it is up to date."""

import json
import re
import runpy
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from mhc_core.checks.recomputation import recompute
from mhc_core.measure.run import run
from mhc_core.record.codec import decode_line, encode_end, encode_frame
from mhc_core.record.frames import FRAME_KINDS
from mhc_core.record.result import Result
from mhc_core.record.schema import build_schemas
from mhc_core.spec import RunSpec
from tests.core.conftest import CONNECTIONS, build_spec
from tests.records import START, SUMMARY

ROOT = Path(__file__).resolve().parents[3]
PAGE = (ROOT / "docs" / "protocol.md").read_text()
SPECS = {
    "overflow": build_spec(depth=40, dtype="bfloat16", connection={"kind": "hc", "noise": 8.0, "dynamic": True}),
    "all stages": build_spec(connection=CONNECTIONS["hc"], seeds=2, jacobian=2),
    "training": build_spec(connection=CONNECTIONS["mhc"], train={"steps": 3, "kept": 2}),
    "digits": build_spec(input={"kind": "digits", "tokens": 64}),
    "gaussian": build_spec(input={"kind": "gaussian"}),
}


@pytest.fixture(scope="module")
def validator() -> Draft202012Validator:
    schemas = build_schemas()
    spec = RunSpec.model_json_schema()
    defs = schemas | spec.pop("$defs") | {"RunSpec": spec}
    return Draft202012Validator({**schemas["Frame"], "$defs": defs})


def read_lines(spec: RunSpec) -> list[bytes]:
    lines = [encode_frame(frame, spec.id, index) for index, frame in enumerate(run(spec))]
    return [*lines, encode_end(spec.id, len(lines), "failed", "why")]


@pytest.mark.sample(3)
@pytest.mark.parametrize("name", SPECS)
def test_every_line_fits_the_schema_and_comes_back(name: str, validator: Draft202012Validator) -> None:
    for index, line in enumerate(read_lines(SPECS[name])):
        plain = json.loads(line)
        assert [error.message for error in validator.iter_errors(plain)] == []
        assert json.loads(encode_frame(decode_line(line), plain["run"], index)) == plain


def test_lines_of_a_verification_and_of_a_trace_fit_too(validator: Draft202012Validator) -> None:
    recomputed = recompute(build_spec(dtype="float32", connection=CONNECTIONS["mhc_lite"]))
    assert recomputed.mean_law_error is not None
    for frame in (recomputed, START, SUMMARY):
        assert [error.message for error in validator.iter_errors(json.loads(encode_frame(frame, "r", 0)))] == []


def test_the_schema_refuses_what_is_no_frame(validator: Draft202012Validator) -> None:
    line: dict[str, Any] = json.loads(encode_frame(START, "r", 0))
    for wrong in ({"type": "begin"}, {"layers": "4"}, {"source": None}, {"blocks": [1]}):
        assert not validator.is_valid(line | wrong), wrong
    assert not validator.is_valid({key: value for key, value in line.items() if key != "index"})


def test_the_page_s_types_are_those_of_the_schema() -> None:
    script = runpy.run_path(str(ROOT / "docs" / "protocol_types.py"))
    assert script["TARGET"].read_text() == script["describe"](), "`make types` writes it"


def test_the_page_s_list_of_maps_is_that_of_their_files() -> None:
    script = runpy.run_path(str(ROOT / "docs" / "page_maps.py"))
    assert script["TARGET"].read_text() == script["describe"](), "`make types` writes it"


def test_the_page_about_the_protocol_lists_every_kind_of_frame() -> None:
    assert re.findall(r"^\| `(\w+)` \|", PAGE, re.MULTILINE) == list(FRAME_KINDS)


def test_its_python_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    (code,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "frames.ndjson").write_bytes(b"".join(read_lines(build_spec())))
    exec(code, {})
    assert capsys.readouterr().out.startswith("4 [")


def test_its_trace_is_one() -> None:
    (text,) = re.findall(r"```json\n(.*?)```", PAGE, re.DOTALL)
    start = json.loads(encode_frame(START, "r", 0)) | {"source": json.loads(text)}
    result = Result()
    result.add(decode_line(json.dumps(start).encode()))
    assert result.label == "DeepseekV4ForCausalLM"
