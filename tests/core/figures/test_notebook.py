"""Records show themselves in a notebook: in one that is executed, and what stands in their figure and table."""

import json
import tomllib
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import nbformat
import numpy as np
import plotly.graph_objects as go
import pytest
from nbclient import NotebookClient

from mhc_core.figures import notebook
from mhc_core.findings.numerals import format_value
from mhc_core.record.frames import StartFrame
from mhc_core.record.result import Result
from mhc_core.record.source import Model, TraceSource
from mhc_probe.client import Client
from mhc_probe.client.models import Run, show_record
from tests.conftest import ROOT, Server
from tests.core.conftest import CONNECTIONS, build_spec, measure
from tests.records import START
from tests.traced import read_trace

PLOTLY = "application/vnd.plotly.v1+json"


class Cells(HTMLParser):
    """Texts of the cells of a table, row by row."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.rows: list[list[str]] = []
        self.tags: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.tags.add(tag)
        if tag == "tr":
            self.rows.append([])

    def handle_data(self, data: str) -> None:
        if self.rows:
            self.rows[-1].append(data)


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The package as pyproject.toml declares it now, whatever an earlier install has written."""
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["entry-points"]
    about = tmp_path / "mhc_scope-0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: mhc-scope\nVersion: 0\n")
    groups = [
        f"[{group}]\n" + "".join(f"{name} = {at}\n" for name, at in points.items())
        for group, points in declared.items()
    ]
    (about / "entry_points.txt").write_text("\n".join(groups))
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}:{ROOT}")


@pytest.mark.full
@pytest.mark.usefixtures("installed")
def test_the_example_shows_runs_results_and_figures(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MHC_SCOPE_URL", server.url)
    document = nbformat.read(ROOT / "examples" / "notebook.ipynb", as_version=4)
    nbformat.validate(document)
    NotebookClient(document, timeout=120, kernel_name="python3").execute()
    shown = {cell.id: cell.outputs[0].data for cell in document.cells if cell.cell_type == "code" and cell.outputs}
    assert list(shown) == ["run", "result", "figure"]
    for name in ("run", "result"):
        assert go.Figure(shown[name][PLOTLY]).data
        assert Cells(shown[name]["text/html"]).rows[0] == ["HC", "first", "last", "min", "max"]
        assert shown[name]["text/plain"] == "Result: HC, 16 layers, 4 streams"
    assert go.Figure(shown["figure"][PLOTLY]).layout.title.text.startswith("Mixing")


@pytest.mark.sample(2)
@pytest.mark.usefixtures("installed")
@pytest.mark.parametrize("kind", ["trace", "hc", "residual", "trained"])
def test_the_table_has_the_records_numbers(kind: str) -> None:
    if kind == "trace":
        result = read_trace().result
    elif kind == "trained":
        result = measure(build_spec(train={"steps": 2}))
    else:
        result = measure(build_spec(connection=CONNECTIONS[kind]))
    bundle = result._repr_mimebundle_()
    rows = {name: cells for name, *cells in Cells(bundle["text/html"]).rows}
    column = np.asarray(result.layers["act_rms"], dtype=np.float64)
    ends = [column[0], column[-1], column.min(), column.max()]
    assert rows["Activation, rms"] == [format_value(float(value), float(np.log10(value))) for value in ends]
    assert result.summary.findings[0].text.split("<")[0] in bundle["text/html"]
    assert go.Figure(bundle[PLOTLY]).data
    assert json.dumps(bundle)
    assert ("Training loss, nats" in rows) == (kind == "trained")


@pytest.mark.usefixtures("installed")
def test_a_record_without_frames_or_sentences_shows_what_there_is() -> None:
    result = Result()
    assert result._repr_mimebundle_() == {"text/plain": "Result: no frame has come yet"}
    named = TraceSource(model=Model(name="<img src=x onerror=alert(1)>", parameters=1), versions={})
    result.add(
        StartFrame(
            **{name: getattr(START, name) for name in ("device", "versions", "layers", "streams", "blocks", "input")},
            source=named,
        )
    )
    cells = Cells(result._repr_mimebundle_()["text/html"])
    assert cells.rows == [["<img src=x onerror=alert(1)>", "first", "last", "min", "max"]]
    assert "img" not in cells.tags


@pytest.mark.full
def test_a_run_that_is_not_done_says_how_it_is(lone_server: Server, fresh_spec: Callable[..., dict[str, Any]]) -> None:
    with Client(lone_server.url) as client:
        run = client.submit(fresh_spec(depth=512))
        client.cancel(run)
        assert run._repr_mimebundle_() == {"text/plain": f"Run {run.id}: cancelled"}
    assert run._repr_mimebundle_() == {
        "text/plain": f"Run {run.id}: {run.status} at the last request; now the client is closed"
    }
    assert show_record("a", "queued", None) == {"text/plain": "Run a: queued"}
    assert Run("a", "queued", 1, {})._repr_mimebundle_() == {"text/plain": "Run a: queued"}


def test_the_panel_is_that_of_the_story() -> None:
    result = measure(build_spec(connection=CONNECTIONS["hc"]))
    assert notebook.find_panel(result) == result.summary.findings[0].panel
