"""A record that was not computed here, a trace of a model from elsewhere, through store, stream, files and figures.

`tests/browser/share/test_traces.py` shows it in the page.
"""

import csv
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import plotly.io
import pytest

from mhc_core.figures import PANELS
from mhc_core.record import codec
from mhc_core.record.frames import EndFrame
from tests.conftest import Server, compute, start_server
from tests.traced import LAYERS, NAME, STREAMS, Trace, read_trace, start_with_trace

NDJSON = {"Accept": "application/x-ndjson"}
VIEWS = [(panel.key, view.key) for panel in PANELS.values() for view in panel.views]
NOTHING = ("training", "theory", "effect")  # panels for which a trace has no data


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with the trace."""
    running = start_with_trace(tmp_path_factory.mktemp("traced"))
    yield running
    running.kill()


@pytest.fixture(scope="module")
def run_id(http: httpx.Client) -> str:
    """A run of this server beside the trace, of another depth."""
    return compute(http, {"depth": 4, "width": 16, "input": {"tokens": 16}, "connection": {"kind": "hc"}})


def test_it_is_served_like_a_finished_run(http: httpx.Client, trace: Trace) -> None:
    run = http.get(f"/runs/{trace.id}").json()
    summary = codec.to_plain(codec.to_fields(trace.result.summary))
    assert (run["status"], run["spec"], run["frames"]) == ("done", None, len(trace.lines) + 1)
    assert run["summary"] == {key: summary[key] for key in ("headline", "findings")}
    assert run["versions"].keys() == {"mhc_scope", "torch", "numpy"}
    assert run["timings"]["run_s"] is None
    assert http.delete(f"/runs/{trace.id}").json()["status"] == "done"


def test_its_frames_are_streamed_as_they_were_stored(http: httpx.Client, trace: Trace) -> None:
    *lines, end = http.get(f"/runs/{trace.id}/events", headers=NDJSON).content.splitlines(keepends=True)
    assert lines == trace.lines
    assert codec.decode_line(end) == EndFrame(status="done", reason=None)
    events = http.get(f"/runs/{trace.id}/events").text
    assert events.count("event: forward") == LAYERS + 1
    assert http.get(f"/runs/{trace.id}/events", headers={"Last-Event-ID": str(len(lines))}).status_code == 204


def test_its_start_frame_has_a_source_and_no_spec(trace: Trace) -> None:
    start = json.loads(trace.lines[0])
    assert "spec" not in start
    assert start["source"]["kind"] == "trace"
    assert start["source"]["model"]["name"] == NAME
    assert start["source"]["versions"].keys() == {"torch", "transformers"}
    assert (start["layers"], start["streams"], len(start["blocks"])) == (LAYERS, STREAMS, LAYERS)


def test_its_result_can_be_fetched_in_every_form(http: httpx.Client, trace: Trace) -> None:
    result = http.get(f"/runs/{trace.id}/result.json").json()
    assert result["source"]["model"]["name"] == NAME
    assert "spec" not in result
    columns = trace.result.layers
    assert result["layers"].keys() == columns.keys()
    np.testing.assert_allclose(result["layers"]["act_rms"], columns["act_rms"], rtol=1e-6)
    rows = list(csv.DictReader(io.StringIO(http.get(f"/runs/{trace.id}/result.csv").text)))
    assert len(rows) == LAYERS
    np.testing.assert_allclose([float(row["act_rms"]) for row in rows], columns["act_rms"], rtol=1e-6)
    arrays = np.load(io.BytesIO(http.get(f"/runs/{trace.id}/result.npz").content))
    np.testing.assert_allclose(arrays["matrices.h_res"], trace.result.matrices["h_res"], rtol=1e-6)
    product = http.get(f"/runs/{trace.id}/composite").json()
    wanted = trace.result.layers["composite_gain_fwd"][-1]
    assert product["gain_fwd"]["value"] == pytest.approx(wanted, rel=1e-6)


@pytest.mark.sample(9)
@pytest.mark.parametrize(("panel", "view"), VIEWS)
def test_every_figure_is_drawn_alone_and_beside_a_run(
    http: httpx.Client, trace: Trace, run_id: str, panel: str, view: str
) -> None:
    alone = fetch_figure(http, trace.id, panel, view)
    shown = [item for item in alone.data if item.visible is not False]
    assert bool(shown) or panel in NOTHING or view in list_empty_views(panel)
    assert shown or alone.layout.annotations, "it says why it is empty"
    beside = fetch_figure(http, run_id, panel, view, {"with": trace.id})
    names = {item.name for item in beside.data if item.visible is not False and item.name}
    if panel in ("gain", "activation", "similarity"):
        assert any(f"B {NAME}" in name for name in names)
    if view == PANELS[panel].views[0].key:
        fetch_figure(http, run_id, panel, view, {"with": trace.id, "difference": "true"})


def fetch_figure(http: httpx.Client, run_id: str, panel: str, view: str, query: dict[str, str] | None = None) -> Any:
    answer = http.get(f"/runs/{run_id}/figures/{panel}", params={"view": view, **(query or {})})
    assert answer.status_code == 200, answer.text
    return plotly.io.from_json(answer.text)


def list_empty_views(panel: str) -> list[str]:
    """Views that need a metric which the trace lacks."""
    result = read_trace().result
    known = {**result.layers, **result.matrices}
    return [view.key for view in PANELS[panel].views if view.needs and view.needs not in known]


@pytest.mark.full
def test_it_is_verified_against_its_own_numbers(http: httpx.Client, trace: Trace) -> None:
    answer = http.post(f"/runs/{trace.id}/verify")
    assert (answer.status_code, answer.json()["verdict"]) == (200, "holds")
    assert {check["law"] for check in answer.json()["checks"]} >= {"products", "matrix_sums", "logarithms", "ranges"}
    for check in answer.json()["checks"]:
        assert "It cannot find" in check["detects"]
    assert http.get(f"/runs/{trace.id}/verify").json() == answer.json()


def test_what_needs_steps_says_that_it_has_none(http: httpx.Client, trace: Trace) -> None:
    stepped = http.get(f"/runs/{trace.id}/figures/gain", params={"step": 0})
    assert stepped.status_code == 422
    assert "none of these runs trains" in stepped.json()["detail"]


@pytest.mark.full
def test_a_view_of_it_is_shared_with_its_name_and_a_picture(
    server: Server, http: httpx.Client, trace: Trace, run_id: str
) -> None:
    for runs, state, labels in (
        ([trace.id], "v=1&runs=trace", f"A {NAME}"),
        ([run_id, trace.id], "v=1&runs=hc,trace&B.name=ours", "A HC, B ours"),
    ):
        stored = http.post("/snapshots", json={"runs": runs, "state": state})
        assert stored.status_code == 201
        address = f"{server.url}/s/{stored.json()['id']}"
        assert labels in httpx.get(address).text
        picture = httpx.get(f"{address}/picture.png")
        assert (picture.status_code, picture.content[:8]) == (200, b"\x89PNG\r\n\x1a\n")
        assert len(picture.content) > 20_000, "curves are drawn"
        assert httpx.get(f"{server.url}/embed/{runs[-1]}?panel=gain").status_code == 200


@pytest.mark.full
def test_it_stays_when_the_server_starts_again(tmp_path: Path, trace: Trace) -> None:
    start_with_trace(tmp_path).kill()
    again = start_server(tmp_path, "--no-precompute", "--workers", "1")
    found = httpx.get(f"{again.api}/runs/{trace.id}").json()
    again.kill()
    assert (found["status"], found["frames"]) == ("done", len(trace.lines) + 1)
