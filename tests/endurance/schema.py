"""Requests that Schemathesis makes up of the OpenAPI description, valid ones and others, with all its checks.

`python -m tests.endurance schema [--cases 5000]`. It lives in an environment of the trial's own, as it brings what the
product must not meet. Before it reads the description, what OpenAPI 3.1 cannot say of streams is put as 3.2 says it.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import venv
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import httpx

from benchmarks.rows import Row
from mhc_core.spec import RunSpec
from mhc_scope.api.contents import ITEM_SCHEMA
from tests.conftest import Server, start_server
from tests.ports import free_port

TOOL = "schemathesis>=4.32,<4.33"
CHECK = "positive_data_acceptance"
# Valid by the description and refused all the same: here it cannot say what is wanted. All other checks stay.
NOT_TOLD = {
    "what compared specs share, and what a sweep makes of one": ["compare_runs", "start_sweep", "estimate_sweep"],
    "what the bytes of a trace must be": ["add_trace", "open_live_trace"],
    "how many layers, steps, runs and labels there are": ["get_figure", "get_composite", "stream_runs"],
}
# Their description says what fields of a spec must be together, which the tool's generator cannot read: they have valid
# data in a run of their own, by `valid_specs`.
TAKE_A_SPEC = ["submit_run", "estimate_run", "compare_costs", "get_costs_csv", "get_costs_figure"]
READINESS = """# That it is not ready is what it is asked for.
[[operations]]
include-operation-id = "get_readiness"
[operations.checks.not_a_server_error]
expected-statuses = ["2xx", "4xx", 503]
"""
CANCELLED = """# A DELETE of these cancels, and what is cancelled can still be read.
[[operations]]
include-path-regex = "/runs/"
[operations.checks.use_after_free]
enabled = false
"""
# Nothing that it asks for is too expensive; what is asked for is given up soon.
FLAGS = ("--no-precompute", "--workers", "1", "--max-run-seconds", "1e12", "--worker-memory-bytes", str(2**61))
MORE_FLAGS = ("--service", "--run-deadline-s", "0.5", "--rooms-by", "anyone", "HEARTBEAT_S=0.2")
REQUEST_S = 60.0
QUIET = ("--no-color", "--no-shrink", "--continue-on-failure", "--generation-database", "none")


def run(arguments: Sequence[str]) -> list[Row]:
    """The trial."""
    parser = argparse.ArgumentParser(prog="python -m tests.endurance schema", description=__doc__)
    parser.add_argument("--cases", type=int, default=5000, help="about so many, over all operations")
    parser.add_argument("--seconds", type=int, default=3600, help="it ends after so long")
    parser.add_argument("--tool", type=Path, help="a schemathesis that is installed already")
    options = parser.parse_args(arguments)
    folder = Path(tempfile.mkdtemp(prefix="mhc-schema-"))
    tool = options.tool or install(folder / "environment")
    port = free_port()
    server = start_server(folder / "data", *FLAGS, *MORE_FLAGS, "--private-port", str(port))
    started = time.monotonic()
    try:
        files = call(tool, server, folder, options.cases, options.seconds)
    finally:
        server.kill()
    return to_rows([case for path in files for case in read_cases(path)], server, time.monotonic() - started)


def install(folder: Path) -> Path:
    """An environment with the tool; where the tool is."""
    venv.create(folder, with_pip=True)
    pip = [str(folder / "bin" / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", TOOL]
    subprocess.run(pip, check=True)
    return folder / "bin" / "schemathesis"


def call(tool: Path, server: Server, folder: Path, cases: int, seconds: int) -> list[Path]:
    """Let it test the server; the files of what it did."""
    described = describe_streams(httpx.get(f"{server.url}/openapi.json", timeout=REQUEST_S).json())
    described["components"]["schemas"]["RunSpec"].pop("allOf")
    description, hooks = folder / "openapi.json", folder / "valid_specs.py"
    description.write_text(json.dumps(described))
    shutil.copy(Path(__file__).with_name(hooks.name), hooks)
    each = max(1, cases // sum(map(len, described["paths"].values())))
    limits = ["--max-examples", each, "--max-time", seconds, "--request-timeout", REQUEST_S]
    hooked = {"PYTHONPATH": str(folder), "SCHEMATHESIS_HOOKS": hooks.stem}
    hooked["SPEC"] = json.dumps(RunSpec.model_json_schema())
    valid = ["--mode", "positive", "--phases", "fuzzing"]
    for name in TAKE_A_SPEC:
        valid += ["--include-operation-id", name]
    files = []
    for part, left_out, more, variables in (
        ("all", NOT_TOLD | {"in a run of their own": TAKE_A_SPEC}, [], {}),
        ("valid", NOT_TOLD, valid, hooked),
    ):
        settings = folder / f"{part}.toml"
        settings.write_text(to_settings(left_out))
        files.append(folder / f"{part}.ndjson")
        command = [tool, "--config-file", settings, "run", description, "--url", server.url, *QUIET, *limits, *more]
        command += ["--report", "ndjson", "--report-ndjson-path", files[-1]]
        subprocess.run(list(map(str, command)), cwd=folder, env=os.environ | variables, stdout=sys.stderr, check=False)
    return files


def to_settings(left_out: Mapping[str, Sequence[str]]) -> str:
    """Its configuration: all checks, but for those that some operations cannot meet, by reason."""
    parts = [READINESS, CANCELLED]
    for reason, names in left_out.items():
        parts.append(f"# {reason}\n[[operations]]\ninclude-operation-id = {json.dumps(names)}")
        parts.append(f"[operations.checks.{CHECK}]\nenabled = false\n")
    return "\n".join(parts)


def describe_streams(openapi: dict[str, Any]) -> dict[str, Any]:
    """The description as 3.2 says it: a stream holds items, and the data of an event is a frame."""
    for methods in openapi["paths"].values():
        for operation in methods.values():
            for answer in operation["responses"].values():
                for media, content in answer.get("content", {}).items():
                    if media == "text/event-stream":
                        texts = {name: {"type": "string"} for name in ("event", "id", "data")}
                        content["itemSchema"] = {"type": "object", "properties": texts}
                        content.pop("schema")
                    elif ITEM_SCHEMA in content:
                        content["itemSchema"] = content.pop(ITEM_SCHEMA)
                        content.pop("schema")
    return openapi | {"openapi": "3.2.0"}


def read_cases(events: Path) -> Iterator[tuple[str, int, list[str]]]:
    """Of each request: the operation, the status of the answer (0 without one), and what was wrong."""
    for line in events.read_text().splitlines():
        event = json.loads(line)
        record = event.get("ScenarioFinished", {}).get("recorder") or {}
        for case, done in (record.get("interactions") or {}).items():
            found = [check for check in (record.get("checks") or {}).get(case, []) if check["status"] == "failure"]
            wrong = [f"{check['name']}: {check['failure_info']['failure']['message']}" for check in found]
            yield record["label"], (done.get("response") or {}).get("status_code", 0), wrong


def to_rows(cases: Sequence[tuple[str, int, list[str]]], server: Server, seconds: float) -> list[Row]:
    """The table; what was wrong is printed first, each kind once."""
    wrong = Counter((label, text) for label, _, texts in cases for text in texts)
    for (label, text), times in wrong.items():
        print(f"{times} x {label}\n    {text}", file=sys.stderr)
    failed = sum(status >= 500 and status != 503 for _, status, _ in cases)
    silent = sum(not status for _, status, _ in cases)
    operations = len({label for label, *_ in cases})
    tracebacks = server.log.read_text().count("Traceback (most recent call last)")
    return [
        Row("requests that broke a check", f"{len(cases)} requests to {operations} operations", wrong.total(), "", 0),
        Row("answers 5xx", "503 with a problem left out", failed, "", 0),
        Row("requests without an answer", f"within {REQUEST_S:g} s", silent, "", 0),
        Row("tracebacks in the server's log", "the same", tracebacks, "", 0),
        Row("operations without the check of valid data", "; ".join(NOT_TOLD), sum(map(len, NOT_TOLD.values())), ""),
        Row("it took", "one server on two cores", seconds, "s"),
    ]
