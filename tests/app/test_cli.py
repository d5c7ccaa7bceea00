"""The command line as people call it."""

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import httpx
import numpy as np
import pytest

from mhc_scope.store.runs import RunStore
from tests.app.store.filled import do, to_url
from tests.conftest import ROOT, Call, start_server


def test_it_starts_as_people_start_it() -> None:
    command = [sys.executable, "-m", "app", "run", "nowhere.json"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("nowhere.json: No such file")


def test_run_writes_columns_and_says_what_it_found(call: Call, tmp_path: Path) -> None:
    spec, out = tmp_path / "spec.json", tmp_path / "result.npz"
    spec.write_text('{"depth": 6, "width": 16, "connection": {"kind": "hc"}}')
    done = call("run", str(spec), "--out", str(out))
    assert done.returncode == 0, done.stderr
    assert "layer" in done.stderr
    assert re.match(r"about \S+ s and 0\.\d+ GB on a CPU\n", done.stderr)
    with np.load(out) as arrays:
        assert arrays["layers.act_rms"].shape == (6,)
        findings = json.loads(arrays["meta"].tobytes())["summary"]["findings"]
    assert done.stdout.splitlines() == [finding["text"] for finding in findings]


def test_run_writes_json_with_nested_lists(call: Call, tmp_path: Path) -> None:
    out = tmp_path / "result.json"
    spec = {"depth": 3, "width": 16, "input": {"tokens": 16}, "connection": {"kind": "hc", "streams": 2}}
    assert call("run", "-", "--out", str(out), stdin=json.dumps(spec)).returncode == 0
    h_res = json.loads(out.read_text())["matrices"]["h_res"]
    assert np.array(h_res, dtype=float).shape == (3, 2, 2)


@pytest.mark.parametrize(
    ("arguments", "stdin", "said"),
    [
        (("run", "-"), '{"depth": 0, "colour": 1}', "depth: got 0. Depth must be a whole number from 1 to 1024.\n"),
        (
            ("verify", "-"),
            '{"connection": {"streams": 0}}',
            "connection.streams: got 0. Streams must be a whole number from 1 to 16.\n",
        ),
        (
            ("run", "-"),
            '{"connection": {"sterams": 2}}',
            "connection.sterams: got 2. Unknown field connection.sterams.",
        ),
        (("run", "-"), '{"width": 65}', "block.heads: got 4. Heads (4) must divide width (65). Use 1, 5 or 13.\n"),
        (("run", "-"), '{"depth": null}', "depth: got nothing. Depth must be"),
        (("run", "-"), "[1]", "standard input: got '[1]'. A spec must be an object.\n"),
        (("run", "nowhere.json"), "", "nowhere.json: No such file or directory, wanted a JSON file, or - for standard"),
        (("run", "-", "--out", "result.xlsx"), "{}", "--out: got 'result.xlsx', wanted a name that ends in"),
        (("run", "-"), '{"device": "cuda"}', "device: got 'cuda', wanted"),
        (("serve", "--port", "70000"), "", "--port: got '70000', wanted an integer from 0 to 65535\n"),
        (("serve", "--colour", "red"), "", "unrecognized arguments: --colour red"),
        (
            ("serve", "--database-url", "nonsense"),
            "",
            "--database-url: got no valid URL, wanted that",
        ),
        (("serve", "--engine", "steam"), "", "MHC_ENGINE, --engine: got 'steam', wanted local"),
        (("serve", "--data", "/proc/nowhere"), "", "/proc/nowhere"),
        (("dance",), "", "dance"),
    ],
)
def test_mistakes_are_named(call: Call, arguments: tuple[str, ...], stdin: str, said: str) -> None:
    done = call(*arguments, stdin=stdin)
    assert done.returncode == 2
    assert said in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("content", ["depth: 3", "", '{"depth": 3'])
def test_a_file_that_is_not_json_is_named_with_its_text(call: Call, content: str, tmp_path: Path) -> None:
    path = tmp_path / "spec.json"
    path.write_text(content)
    done = call("run", str(path))
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(f"{path}: got {content!r}. A spec is JSON in UTF-8: ")
    assert len(done.stderr.splitlines()) == 1


def test_schema_is_that_of_the_core(call: Call) -> None:
    schema = json.loads(call("schema").stdout)
    assert schema["properties"]["depth"]["maximum"] == 1024


def test_help_lists_every_setting(call: Call) -> None:
    from mhc_scope.settings import Settings

    shown = call("serve", "--help").stdout
    for name in Settings.model_fields:
        assert f"--{name.replace('_', '-')}" in shown


def test_serve_takes_runs_until_a_signal(tmp_path: Path) -> None:
    server = start_server(tmp_path, "--no-precompute", "--workers", "1", forked=False)
    assert httpx.post(f"{server.api}/runs", json={"depth": 2, "width": 16}).status_code == 202
    assert server.terminate() < 6
    assert server.process.poll() == -15


def test_the_version_is_that_of_the_package(call: Call) -> None:
    from mhc_core import __version__

    done = call("--version")
    assert (done.returncode, done.stdout) == (0, f"mhc-scope {__version__}\n")


@pytest.mark.sample(3)
@pytest.mark.parametrize(
    "arguments",
    [
        ("schema",),
        ("--help",),
        ("--version",),
        ("serve", "--help"),
        ("backup", "copy.db", "--data", "data"),
        ("check-data", "--data", "data"),
        ("prune", "--data", "data"),
        ("run", "spec.json"),
        ("verify", "spec.json"),
    ],
    ids=" ".join,
)
def test_a_reader_that_goes_away_ends_a_command_without_an_error(arguments: tuple[str, ...], tmp_path: Path) -> None:
    """As in `mhc-scope schema | head -1`."""
    (tmp_path / "spec.json").write_text('{"depth": 2, "width": 8, "input": {"tokens": 4}}')
    check_without_reader(arguments, tmp_path)


def check_without_reader(arguments: Sequence[str], folder: Path) -> None:
    """Run a command next to a database, `data`, where no one reads what it prints."""
    do(to_url(folder / "data" / "mhc-scope.db"), lambda database: RunStore(database).get("none"))  # creates it
    command = [sys.executable, "-m", "app", *arguments]
    environment = {"PYTHONPATH": str(ROOT)}
    reader, writer = os.pipe()
    os.close(reader)
    process = subprocess.Popen(command, cwd=folder, env=environment, stdout=writer, stderr=subprocess.PIPE, text=True)
    os.close(writer)
    error = process.communicate(timeout=60)[1]
    assert process.returncode == -signal.SIGPIPE
    assert "Error" not in error
    assert "Broken pipe" not in error
