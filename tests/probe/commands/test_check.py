"""`mhc-scope check` as people call it."""

import json
import re
import subprocess
import sys

import pytest

from mhc_scope.cli import main
from tests.conftest import ROOT

PLAIN = "tests.probe.conformance.plain:PlainMHC"
WRONG_ONE = "tests.probe.conformance.wrong:build"


def call(*arguments: str) -> subprocess.CompletedProcess[str]:
    """`python -m app check` with these arguments, in the folder that has the tests."""
    command = [sys.executable, "-m", "app", "check", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)


def test_a_sound_module_passes() -> None:
    done = call(PLAIN)
    assert done.returncode == 0, done.stderr
    report, detection = done.stdout.split("\n\n")
    first, head, *rows, last = report.splitlines()
    assert first == "PlainMHC, checked as mhc"
    assert head.split() == ["verdict", "check", "statement"]
    assert all(row.startswith(("holds ", "not applicable ")) for row in rows), done.stdout
    holding = sum(row.startswith("holds ") for row in rows)
    assert last == f"All {holding} checks hold. {len(rows) - holding} do not apply."
    assert len(detection.splitlines()) == 1 + len(rows)


@pytest.mark.full
@pytest.mark.parametrize("name", ["branch added before the mixing", "coefficients from x.detach()"])
def test_a_mistake_that_prevents_a_check_exits_with_1(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", WRONG_ONE, "--args", json.dumps({"name": name})]) == 1
    assert "likely: " in capsys.readouterr().out


@pytest.mark.full
def test_a_mutant_fails_in_json() -> None:
    done = call(WRONG_ONE, "--args", '{"name": "H_res applied transposed"}', "--json")
    assert done.returncode == 1, done.stderr
    report = json.loads(done.stdout)
    assert report["passed"] is False
    (failure,) = [one for one in report["checks"] if one["verdict"] == "fails"]
    assert failure["name"] == "orientation"
    assert "open_bench(module)" in failure["reproduce"]


@pytest.mark.full
def test_arguments_reach_the_class(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", PLAIN, "--args", '{"streams": 3, "width": 10}', "--rounds", "20", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["passed"] is True


@pytest.mark.full
def test_functions_are_named_too(capsys: pytest.CaptureFixture[str]) -> None:
    mean = "tests.probe.conformance.elsewhere:reduce_to_mean"
    assert main(["check", PLAIN, "--family", "mhc", "--reduce", mean]) == 0
    assert "the streams end as their mean" in capsys.readouterr().out
    given = "tests.probe.conformance.elsewhere:write_untransposed"
    assert main(["check", "tests.probe.conformance.elsewhere:build_deepseek_v4", "--write", given]) == 1
    assert re.search(r"^fails +orientation ", capsys.readouterr().out, re.MULTILINE)


@pytest.mark.full
def test_a_mistake_is_named_without_a_traceback() -> None:
    done = call("nowhere:Class")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("target: got 'nowhere:Class', wanted a name that can be imported")
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.sample(4)
@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("torch.nn",), "target: got 'torch.nn', wanted package.module:name"),
        (("torch:pi",), "target: got 'torch:pi', wanted a class, a function or a torch module"),
        (("torch.nn:Identity",), "module: got 'Identity', wanted a connection"),
        ((PLAIN, "--args", "{"), "--args: got '{', wanted a JSON object"),
        ((PLAIN, "--args", "[1]"), "--args: got [1], wanted a JSON object"),
        ((PLAIN, "--args", '{"colour": 1}'), "got {'colour': 1}, wanted arguments that it takes"),
        ((PLAIN, "--family", "residual"), "family: got 'residual', wanted one of hc, mhc"),
        ((PLAIN, "--rounds", "0"), "rounds: got 0, wanted an integer from 1 to 45"),
    ],
)
def test_mistakes_are_named(arguments: tuple[str, ...], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", *arguments]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert said in printed.err
