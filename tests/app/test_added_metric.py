"""A metric of another package: `examples/metric` is installed, and a server measures, draws and checks it."""

import csv
import json
import re
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from mhc_core import metrics
from mhc_core.discovery import InvalidAddition
from mhc_core.figures import THEMES, panels
from mhc_core.figures.panel import Column
from mhc_core.record.tables import to_table
from mhc_core.spec import RunSpec
from mhc_core.stack import build_stack
from tests.app.added import EXAMPLES, install_example, run_app, serve_with
from tests.app.api.test_verify import verify
from tests.conftest import Server, compute, start_server
from tests.core.conftest import measure
from tests.core.figures.filled import decode_result
from tests.core.reference import trace

pytestmark = pytest.mark.full

KEY = "branch_alignment"
FLAG = ("--metric", "mhc_scope_alignment:METRIC")
SPEC: dict[str, Any] = {"depth": 4, "width": 16, "input": {"tokens": 16}, "device": "cpu", "seed": 11}
HC: dict[str, Any] = {**SPEC, "connection": {"kind": "hc", "noise": 0.5}}
# Of the way down, with a value for each stream, as a view of a panel of ours, and drawn by a function of its own.
STREAM_GRADIENT = """
import numpy as np
from mhc_core.metric import OURS, Chart, LayerMetric, Metric

def draw(runs, theme):
    from mhc_core.figures.panel import bottom_up, build_lines, stream_line
    figure = build_lines(theme, "log")
    figure["data"] += [stream_line(run, style, "grad_peak", "log") for run, style in bottom_up(theme, runs)]
    return figure

METRIC = LayerMetric(
    metric=Metric("grad_peak", "Largest gradient", "", "log", "Ln", "backward", "Largest entry.", "max |g|", OURS),
    measure=lambda block: block.g_KnNC.abs().amax((2, 3)),
    reference=lambda spec, layer: np.abs(layer.g_nNC).max((1, 2)),
    chart=Chart(reading="Higher is larger.", symbol="g", view_of="streams", label="peak", build=draw),
)
"""


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return install_example("metric", tmp_path_factory)


@pytest.fixture(scope="module")
def earlier(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A data folder with a run that was computed before the metric was installed, and its id."""
    data = tmp_path_factory.mktemp("data")
    running = start_server(data, "--no-precompute", "--workers", "1")
    with httpx.Client(base_url=running.api, timeout=60) as client:
        run_id = compute(client, HC)
    running.terminate()
    return data, run_id


@pytest.fixture(scope="module")
def server_with_metric(installed: Path, earlier: tuple[Path, str]) -> Iterator[Server]:
    with serve_with(installed, earlier[0]) as running:
        yield running


@pytest.fixture
def http(server_with_metric: Server) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=server_with_metric.api, timeout=60) as client:
        yield client


def compute_alignment(spec: dict[str, Any]) -> list[float]:
    """The metric from its definition, token by token, of a stack that numpy computes."""
    found = trace(build_stack(RunSpec.model_validate({**spec, "dtype": "float64"})))
    column = []
    for u, y in zip(found.u, found.y, strict=True):
        pairs = zip(u.reshape(-1, spec["width"]), y.reshape(-1, spec["width"]), strict=True)
        column.append(float(np.mean([a @ b / np.linalg.norm(a) / np.linalg.norm(b) for a, b in pairs])))
    return column


def test_an_installed_metric_is_in_the_catalogue_and_in_results(http: httpx.Client) -> None:
    catalogue = {metric["key"]: metric for metric in http.get("/metrics-catalogue").json()["metrics"]}
    assert catalogue[KEY]["title"] == "Branch alignment"
    assert list(catalogue)[-1] == KEY
    run_id = compute(http, SPEC)
    column = http.get(f"/runs/{run_id}/result").json()["layers"][KEY]
    np.testing.assert_allclose(column, compute_alignment(SPEC), atol=2e-5)
    assert np.abs(column).max() > 0.01
    table = list(csv.DictReader(http.get(f"/runs/{run_id}/result.csv").text.splitlines()))
    np.testing.assert_allclose([float(row[KEY]) for row in table], column)


def test_an_installed_metric_changes_neither_ids_nor_other_columns(http: httpx.Client) -> None:
    run_id = compute(http, SPEC)
    ours = measure(RunSpec.model_validate(SPEC))
    assert run_id == RunSpec.model_validate(SPEC).id
    columns = http.get(f"/runs/{run_id}/result").json()["layers"]
    assert columns.keys() - ours.layers.keys() == {KEY}
    for key, column in ours.layers.items():
        np.testing.assert_array_equal(np.array(columns[key], dtype=column.dtype), column, err_msg=key)


def test_the_page_and_rest_have_its_chart(http: httpx.Client) -> None:
    run_id = compute(http, SPEC)
    column = http.get(f"/runs/{run_id}/result").json()["layers"][KEY]
    figure = http.get(f"/runs/{run_id}/figures/{KEY}").json()
    (curve,) = (trace for trace in figure["data"] if trace["meta"]["end"])
    np.testing.assert_allclose(curve["y"], column)
    assert "Branch alignment" in figure["layout"]["title"]["text"]
    served = {panel["key"]: panel for panel in http.get("/panels?runs=1&theme=dark").json()["panels"]}
    assert list(served)[-1] == KEY
    assert (served[KEY]["group"], served[KEY]["help"]["symbol"]) == ("similarity", "cos(u_l, F_l(u_l))")
    assert served[KEY]["table"] == [{"title": "Branch alignment", "key": KEY, "source": "layers"}]


def test_of_a_training_step_the_chart_shows_the_trained_stack_and_says_so(http: httpx.Client) -> None:
    run_id = compute(http, {**SPEC, "train": {"steps": 2}})
    plain, of_step = (http.get(f"/runs/{run_id}/figures/{KEY}{query}").json() for query in ("", "?step=0"))
    assert of_step["data"] == plain["data"]
    assert "cosine · trained" in of_step["layout"]["title"]["text"]


def test_verify_computes_it_once_more(http: httpx.Client) -> None:
    body = verify(http, compute(http, SPEC))
    assert body["verdict"] == "holds", body["summary"]
    assert [check["verdict"] for check in body["checks"] if check["metric"] == KEY] == ["holds"]


def test_verify_finds_a_fault_in_what_measures_it(tmp_path: Path) -> None:
    code = (EXAMPLES / "metric" / "mhc_scope_alignment.py").read_text()
    mean, column = "dim=-1).mean(1)", "y_KNC.double()"
    assert code.count(mean) == code.count(column) == 1
    for name, text in (
        ("mean", code.replace(mean, "dim=-1).abs().mean(1)")),
        ("column", code.replace(column, f"{column}.roll(1, 1)")),
    ):
        folder = tmp_path / name
        folder.mkdir()
        (folder / "mhc_scope_alignment.py").write_text(text)
        done = run_app(folder, "verify", "-", *FLAG, stdin=json.dumps(HC))
        failed = [line for line in done.stdout.splitlines() if line.startswith("fails")]
        assert [KEY in line for line in failed] == [True], done.stderr
        assert done.returncode == 1


def test_a_run_computed_before_opens_and_the_chart_says_what_it_lacks(
    http: httpx.Client, earlier: tuple[Path, str]
) -> None:
    before, run_id = earlier[1], compute(http, SPEC)
    assert KEY not in http.get(f"/runs/{before}/result").json()["layers"]
    assert compute(http, HC) == before  # it is not computed again
    alone = http.get(f"/runs/{before}/figures/{KEY}").json()
    assert [note["text"] for note in alone["layout"]["annotations"]] == [panels.ABSENT]
    both = http.get(f"/runs/{run_id}/figures/{KEY}", params={"with": before, "label": ["new", "old"]}).json()
    assert f"old: {panels.ABSENT}" in both["layout"]["title"]["subtitle"]["text"]
    body = verify(http, before)
    assert body["verdict"] == "holds", body["summary"]
    assert [check["verdict"] for check in body["checks"] if check["metric"] == KEY] == ["skipped"]


def test_a_run_with_the_metric_opens_where_it_is_not_installed_and_has_its_numbers(
    http: httpx.Client, server_with_metric: Server, tmp_path: Path
) -> None:
    run_id = compute(http, {**SPEC, "seeds": 2})
    result = http.get(f"/runs/{run_id}/result").json()
    assert KEY in result["layers"]
    assert KEY in result["bands"]
    verify(http, run_id)  # whose recomputation has the metric too
    shutil.copytree(server_with_metric.data, tmp_path / "data")
    plain = start_server(tmp_path / "data", "--no-precompute", "--workers", "1")
    try:
        with httpx.Client(base_url=plain.api, timeout=60) as client:
            assert client.get(f"/runs/{run_id}/result").json() == result
            for part in ("result.csv", "result.npz", "figures/similarity"):
                assert client.get(f"/runs/{run_id}/{part}").status_code == 200
            assert client.get(f"/runs/{run_id}/figures/{KEY}").status_code == 404
            assert verify(client, run_id)["verdict"] == "holds"
            lines = client.get(f"/runs/{run_id}/events", headers={"Accept": "application/x-ndjson"}).content
    finally:
        plain.kill()
    entries = to_table(decode_result(lines.splitlines()), KEY)
    assert list(entries) == ["layer", KEY]
    np.testing.assert_allclose(entries[KEY], result["layers"][KEY], rtol=1e-6)


def test_a_metric_of_gradients_and_streams_is_measured_checked_and_a_view_of_a_panel(tmp_path: Path) -> None:
    (tmp_path / "of_streams.py").write_text(STREAM_GRADIENT)
    flag, out = ("--metric", "of_streams:METRIC"), tmp_path / "result.json"
    done = run_app(tmp_path, "run", "-", "--out", str(out), *flag, stdin=json.dumps(HC))
    assert done.returncode == 0, done.stderr
    layers = json.loads(out.read_text())["layers"]
    peaks = np.array(layers["grad_peak"])
    assert peaks.shape == (4, 4)
    assert (peaks > np.array(layers["grad_rms_streams"])).all()
    checked = run_app(tmp_path, "verify", "-", *flag, stdin=json.dumps(HC))
    assert checked.returncode == 0, checked.stdout
    assert any(line.startswith("holds") and " grad_peak " in line for line in checked.stdout.splitlines())


@pytest.mark.parametrize("drawn", [", build=draw", ""])
def test_a_chart_can_be_a_view_of_a_panel_and_be_drawn_by_a_function(
    monkeypatch: pytest.MonkeyPatch, drawn: str
) -> None:
    module: dict[str, Any] = {}
    exec(STREAM_GRADIENT.replace(", build=draw", drawn), module)
    monkeypatch.setitem(panels.LAYER_METRICS, "grad_peak", module["METRIC"])
    panel = panels.collect_panels()["streams"]
    view = panel.views[-1]
    assert (view.title, view.needs, view.meaning) == ("peak", "grad_peak", "Largest entry.")
    assert panel.table[-1] == Column("peak", "grad_peak", "streams")
    assert panel.help.reading.endswith("Largest gradient: Higher is larger.")
    template = panel.build(2, THEMES["light"], view.key)
    assert [trace["meta"]["fill"]["y"] for trace in template["data"]] == 2 * ["stream_log10.grad_peak"]
    assert template["layout"]["meta"]["absent"] == {"key": "grad_peak", "text": panels.ABSENT}


WRONG: dict[str, tuple[str, str, str]] = {
    "kind": ("METRIC = LayerMetric(", "METRIC = dict(", "is a dict, not a mhc_core.metric.LayerMetric."),
    "key": ('key="branch_alignment"', 'key="act_rms"', "Two metrics are called 'act_rms': rename the one of your"),
    "frame": ('frame="forward"', 'frame="step"', "frame is 'step', wanted 'forward' or 'backward'."),
    "shape": ('shape="L"', 'shape="LL"', "shape is 'LL', wanted 'L' or 'Ln' or 'LnC'."),
    "view": ('group="similarity"', 'view_of="signals"', "view_of is 'signals', wanted one of gain, "),
    "panel": (
        'key="branch_alignment"',
        'key="similarity"',
        "a panel has this key. Rename the metric, or set view_of.",
    ),
}


def write_wrong(folder: Path, name: str) -> str:
    """Write a module whose metric cannot be used; what is said of it."""
    right, wrong, said = WRONG[name]
    code = (EXAMPLES / "metric" / "mhc_scope_alignment.py").read_text()
    assert code.count(right) == 1
    (folder / "mhc_scope_alignment.py").write_text(code.replace(right, wrong))
    return said


def collect_all() -> None:
    metrics._collect_metrics()
    panels.collect_panels()


@pytest.mark.parametrize("name", WRONG)
def test_a_metric_that_cannot_be_used_is_named(tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    said = write_wrong(tmp_path, name)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "mhc_scope_alignment", raising=False)
    monkeypatch.setenv(metrics.VARIABLE, FLAG[1])
    collected: dict[str, Any] = {}
    monkeypatch.setattr(metrics, "METRICS", {})
    for module in (metrics, panels):
        monkeypatch.setattr(module, "LAYER_METRICS", collected)
    with pytest.raises(InvalidAddition, match=re.escape(said)):
        collect_all()
    sys.modules.pop("mhc_scope_alignment", None)


@pytest.mark.parametrize("name", ["kind", "view"])
def test_a_server_with_such_a_metric_ends_with_a_line(tmp_path: Path, name: str) -> None:
    """When metrics are collected, and when panels are."""
    said = write_wrong(tmp_path, name)
    done = run_app(tmp_path, "serve", "--port", "0", "--data", str(tmp_path / "data"), *FLAG)
    assert (done.returncode, done.stdout) == (2, "")
    assert said in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_a_measurement_of_another_shape_ends_the_run_with_a_sentence(tmp_path: Path) -> None:
    code = (EXAMPLES / "metric" / "mhc_scope_alignment.py").read_text()
    (tmp_path / "mhc_scope_alignment.py").write_text(code.replace("dim=-1).mean(1)", "dim=-1)"))
    done = run_app(tmp_path, "run", "-", *FLAG, stdin=json.dumps(SPEC))
    assert done.returncode != 0
    assert "Metric 'branch_alignment': measure returned (1, 32), wanted (1,)." in done.stderr
