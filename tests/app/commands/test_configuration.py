"""Variables and flags that are not valid: one line each, with its name, what was received and what is allowed."""

import subprocess
import sys
from pathlib import Path
from subprocess import CompletedProcess

import pytest

from mhc_scope.commands.configuration import (
    InvalidSettings,
    find_unknown_variables,
    load_settings,
    to_flag,
    to_variable,
)
from mhc_scope.settings import Settings
from tests.conftest import ROOT, Call

SWITCHES = {"spans", "precompute", "service"}
# The engine is checked where engines are known, connections and metrics where they are collected.
ANY_TEXT = {"connection", "data", "engine", "forwarded_allow_ips", "host", "metric"}


def run_program(*arguments: str, **variables: str) -> "CompletedProcess[str]":
    """`python -m app` in an environment with these variables."""
    command = [sys.executable, "-m", "app", *arguments]
    environment = {"PYTHONPATH": str(ROOT), **variables}
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)


def test_a_variable_is_named_with_what_was_received_and_what_is_allowed() -> None:
    done = run_program("serve", MHC_WORKERS="abc")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "MHC_WORKERS: got 'abc', wanted an integer of at least 0\n"


@pytest.mark.sample(5)
@pytest.mark.parametrize("name", sorted(set(Settings.model_fields) - ANY_TEXT - SWITCHES))
def test_every_setting_is_named_as_it_was_given(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for shown, arguments in ((to_flag(name), [to_flag(name), "a b"]), (to_variable(name), [])):
        if not arguments:
            monkeypatch.setenv(shown, "a b")
        with pytest.raises(InvalidSettings) as caught:
            load_settings(arguments)
        (line,) = str(caught.value).splitlines()
        assert line.startswith(f"{shown}: got "), line
        assert "wanted " in line


def test_a_switch_that_is_neither_on_nor_off_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MHC_SPANS", "perhaps")
    with pytest.raises(InvalidSettings, match=r"^MHC_SPANS: got 'perhaps', wanted true or false$"):
        load_settings()


def test_several_mistakes_are_named_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MHC_KEEP_S", "-1")
    with pytest.raises(InvalidSettings) as caught:
        load_settings(["--log-format=xml", "--port", "70000"])
    assert sorted(str(caught.value).splitlines()) == [
        "--log-format: got 'xml', wanted one of text, json",
        "--port: got '70000', wanted an integer from 0 to 65535",
        "MHC_KEEP_S: got '-1', wanted a number above 0",
    ]


def test_an_unknown_flag_is_refused_in_a_line_with_the_nearest_one() -> None:
    with pytest.raises(InvalidSettings) as caught:
        load_settings(["--worker", "3"])
    assert str(caught.value) == (
        "mhc-scope serve: unrecognized arguments: --worker 3; did you mean --workers?; --help lists all flags"
    )


@pytest.mark.sample(3)
@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("mysql://ann:secret@db/scope", "got a URL of mysql, wanted"),
        ("postgresql://ann:secret@db/scope", "got a URL of postgresql, wanted"),
        ("sqlite://", "got a URL of sqlite without a file, wanted"),
        ("sqlite:///:memory:", "got a URL of sqlite without a file, wanted"),
        ("postgresql://ann:secret@db:port/scope", "got no valid URL, wanted"),
        ("secret", "got no valid URL, wanted"),
    ],
)
def test_another_database_is_refused_in_a_sentence_without_its_password(call: Call, url: str, said: str) -> None:
    done = call("serve", "--database-url", url)
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    wanted = "that of an SQLite file, such as sqlite:////x.db; other databases need --service (MHC_SERVICE=true)"
    assert line == f"--database-url: {said} {wanted}"


def test_unknown_variables_are_named_with_the_nearest_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("MHC_WORKER", "MHC_WORKERS", "MHC_SCOPE_URL", "MHC_TEA", "OTHER_WORKER"):
        monkeypatch.setenv(name, "3")
    assert list(find_unknown_variables(Settings())) == [
        "the variable MHC_TEA is ignored: there is no such setting",
        "the variable MHC_WORKER is ignored: there is no such setting; did you mean MHC_WORKERS?",
    ]


@pytest.mark.full
def test_commands_and_servers_report_unknown_variables(tmp_path: Path) -> None:
    said = "the variable MHC_DATTA is ignored: there is no such setting; did you mean MHC_DATA?"
    done = run_program("prune", "--data", str(tmp_path), MHC_DATTA="x")
    assert done.stderr.startswith(f"warning: {said}\n")
    command = [sys.executable, "-m", "app", "serve", "--port", "0", "--data", str(tmp_path), "--no-precompute"]
    environment = {"PYTHONPATH": str(ROOT), "MHC_DATTA": "x"}
    with subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True) as server:
        assert server.stderr is not None
        first = server.stderr.readline()
        server.terminate()
    assert first.endswith(f" WARNING mhc.settings: {said}\n")
