"""The examples that use a server, and the lines of docs/scripts.md, run against a real one as they are written."""

import ast
import re
import runpy
from pathlib import Path
from typing import Any

import pytest

from tests.apart import run_apart
from tests.conftest import ROOT, Server
from tests.traced import read_trace

pytestmark = pytest.mark.full

MAX_LINES = 8
SAID = {
    "sweep_and_plot": r"depth +connection\.streams +value(.*\n){6}",
    "follow_live": r"(step \d+: loss \d\.\d{4}\n){10}",
    "matrices_to_pandas": r"(?s)column .* 0 .* 3\n.*column sums, from 1: \d\.\d+",
}
WRITTEN = ("figures.html", "layers.parquet", "gain.html", "gains.parquet")


@pytest.fixture
def at_server(server: Server, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """The folder in which a script runs whose server is the shared one."""
    monkeypatch.setenv("MHC_SCOPE_URL", server.url)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def count_lines(source: str) -> int:
    """Lines of code, without the text that says what a script is."""
    _, *body = ast.parse(source).body
    return len({line for node in body for line in range(node.lineno, (node.end_lineno or 0) + 1)})


@pytest.mark.parametrize("name", SAID)
def test_an_example_runs(name: str, at_server: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = ROOT / "examples" / f"{name}.py"
    assert count_lines(path.read_text()) <= MAX_LINES
    runpy.run_path(str(path))
    assert re.search(SAID[name], capsys.readouterr().out)
    if name == "sweep_and_plot":
        assert "Plotly.newPlot" in (at_server / "sweep.html").read_text()


def test_the_page_of_scripts_does_as_it_says(at_server: Path, capsys: pytest.CaptureFixture[str]) -> None:
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "scripts.md").read_text(), re.DOTALL)
    assert len(blocks) >= 8
    read_trace().result.save("ours.mhct")
    namespace: dict[str, Any] = {}
    run_apart(lambda: exec(compile("\n".join(blocks), "docs/scripts.md", "exec"), namespace))
    namespace["client"].close()
    assert namespace["frame"].shape[0] == namespace["result"].depth == 8
    assert namespace["matrices"].columns == ["layer", "row", "column", "h_res"]
    assert len(namespace["losses"]) == 3
    assert [result.depth for result in namespace["results"]] == [2, 4]
    assert {path.name for path in at_server.iterdir()} == {
        "figures.html",
        "ours.mhct",
        "layers.parquet",
        "gain.html",
        "gains.parquet",
    }
    said = capsys.readouterr().out
    assert "Gain, forward, largest over layers" in said
    assert "depth an integer from 1 to 1024" in said
