"""A finished run to take away: JSON, CSV, NPZ and Plotly figures, all saying the same."""

import csv
import io
import json
from collections.abc import Callable
from typing import Any, cast

import httpx
import numpy as np
import plotly.io
import pytest

from mhc_core.figures import PANELS
from mhc_core.figures.run_names import KIND_NAMES
from mhc_core.record import codec
from mhc_core.record.packed import PackedArray
from mhc_core.spec import CONNECTION_KINDS
from tests.app.api.test_bodies import check_problem
from tests.app.engine.test_cancel import LONG
from tests.conftest import compute

FreshSpec = Callable[..., dict[str, Any]]
DEPTH = 6


@pytest.fixture(scope="module")
def run_id(server: Any) -> str:
    """A small HC run."""
    spec = {"depth": DEPTH, "width": 16, "seed": 4242, "connection": {"kind": "hc"}}
    with httpx.Client(base_url=server.api, timeout=30) as http:
        return compute(http, spec | {"input": {"tokens": 16}})


def test_json_csv_and_npz_agree(client: httpx.Client, run_id: str) -> None:
    whole = client.get(f"/runs/{run_id}/result").json()
    assert whole == client.get(f"/runs/{run_id}/result.json").json()
    layers = whole["layers"]
    assert len(layers["act_rms"]) == DEPTH

    table = read_table(client, run_id)
    assert [row["layer"] for row in table] == [str(layer) for layer in range(DEPTH)]
    assert [float(row["act_rms"]) for row in table] == pytest.approx(layers["act_rms"], rel=1e-12)

    with np.load(io.BytesIO(client.get(f"/runs/{run_id}/result.npz").content)) as arrays:
        assert arrays["layers.act_rms"] == pytest.approx(layers["act_rms"], rel=1e-12)
        h_res = np.array(whole["matrices"]["h_res"], dtype=np.float32)
        assert h_res.shape == (DEPTH, 4, 4)
        assert np.array_equal(arrays["matrices.h_res"], h_res)
        meta = json.loads(arrays["meta"].tobytes())
    assert meta["run"] == run_id
    assert meta["summary"] == whole["summary"]

    streams = np.array(layers["act_rms_streams"])
    assert [float(row["act_rms_streams.3"]) for row in table] == pytest.approx(streams[:, 3].tolist())


def read_table(client: httpx.Client, run_id: str) -> list[dict[str, str]]:
    """The CSV as rows by column."""
    return list(csv.DictReader(io.StringIO(client.get(f"/runs/{run_id}/result.csv").text)))


@pytest.mark.parametrize("path", ["result", pytest.param("result.json", marks=pytest.mark.full)])
def test_arrays_are_nested_unless_packed_is_asked_for(client: httpx.Client, fresh_spec: FreshSpec, path: str) -> None:
    run_id = compute(client, fresh_spec(connection={"kind": "hc"}, train={"steps": 3}))
    nested = client.get(f"/runs/{run_id}/{path}")
    packed = client.get(f"/runs/{run_id}/{path}", params={"arrays": "packed"})
    assert "bdata" not in nested.text
    assert nested.headers["etag"] != packed.headers["etag"]
    _compare_arrays(nested.json(), packed.json())
    check_problem(client.get(f"/runs/{run_id}/{path}", params={"arrays": "flat"}), 422, "arrays", "packed")


def _compare_arrays(nested: Any, packed: Any) -> None:
    """The same values at the same places; null where a packed one is not a number."""
    if isinstance(packed, dict) and "bdata" in packed:
        array = codec.from_typed_array(cast(PackedArray, packed))
        np.testing.assert_array_equal(np.array(nested, dtype=array.dtype), array)
    elif isinstance(packed, dict):
        assert list(nested) == list(packed)
        for key, item in packed.items():
            _compare_arrays(nested[key], item)
    else:
        assert nested == packed


def test_nested_lists_say_null_where_there_is_no_number(client: httpx.Client) -> None:
    spec = {"depth": 96, "width": 16, "seed": 7, "connection": {"kind": "hc", "noise": 10.0}}
    run_id = compute(client, spec | {"input": {"tokens": 16}})
    cka = client.get(f"/runs/{run_id}/result").json()["matrices"]["cka"]
    assert (len(cka), len(cka[0])) == (96, 96)
    packed = client.get(f"/runs/{run_id}/result", params={"arrays": "packed"}).json()["matrices"]["cka"]
    lost = np.isnan(codec.from_typed_array(cast(PackedArray, packed)))
    assert lost.any()
    assert [[value is None for value in row] for row in cka] == lost.tolist()


def test_csv_names_what_it_leaves_out(client: httpx.Client, fresh_spec: FreshSpec) -> None:
    run_id = compute(client, fresh_spec(connection={"kind": "hc"}, train={"steps": 3}))
    whole = client.get(f"/runs/{run_id}/result").json()
    first, *others = read_table(client, run_id)
    left_out = [key for table in ("matrices", "steps", "kept") for key in whole[table] if key != "step"]
    assert {"h_res", "cka", "step_loss", "step_h_res"} <= set(left_out)
    assert first["left_out"].split() == left_out
    assert {row["left_out"] for row in others} == {""}


def test_csv_is_the_same_table_to_a_reader_that_drops_comments(client: httpx.Client, run_id: str) -> None:
    text = client.get(f"/runs/{run_id}/result.csv").text
    numbers = np.genfromtxt(io.StringIO(text), delimiter=",", names=True, comments="#")
    assert len(numbers) == DEPTH
    assert numbers["act_rms"].tolist() == [float(row["act_rms"]) for row in read_table(client, run_id)]


def test_the_result_is_what_the_frames_say(client: httpx.Client, run_id: str) -> None:
    lines = client.get(f"/runs/{run_id}/events", headers={"Accept": "application/x-ndjson"}).text.splitlines()
    frames = [json.loads(line) for line in lines]
    told = {f["layer"]: f["values"]["act_rms"] for f in frames if f["type"] == "forward" and f["layer"] >= 0}
    columns = client.get(f"/runs/{run_id}/result").json()["layers"]["act_rms"]
    assert columns == pytest.approx([told[layer] for layer in range(DEPTH)], rel=1e-12)


@pytest.mark.parametrize(
    ("accept", "media_type"),
    [("text/csv", "text/csv"), ("application/octet-stream", "application/octet-stream"), ("*/*", "json")],
)
def test_accept_chooses_the_format(client: httpx.Client, run_id: str, accept: str, media_type: str) -> None:
    answer = client.get(f"/runs/{run_id}/result", headers={"Accept": accept})
    assert media_type in answer.headers["content-type"]


def test_overflow_keeps_its_log10_and_says_so(client: httpx.Client) -> None:
    spec = {"depth": 320, "width": 16, "seed": 7, "connection": {"kind": "hc", "noise": 10.0}}
    run_id = compute(client, spec | {"input": {"tokens": 16}})
    table = list(csv.DictReader(io.StringIO(client.get(f"/runs/{run_id}/result.csv").text)))
    last = table[-1]
    assert last["composite_gain_fwd"] == ""
    assert last["composite_gain_fwd.status"] == "overflow"
    assert float(last["composite_gain_fwd.log10"]) > 308


def test_bands_over_seeds_are_in_every_format(client: httpx.Client) -> None:
    spec = {"depth": DEPTH, "width": 16, "seed": 7, "seeds": 3, "connection": {"kind": "hc"}, "input": {"tokens": 16}}
    run_id = compute(client, spec)
    whole = client.get(f"/runs/{run_id}/result").json()
    told = whole["bands"]["act_rms"]["p95"]
    assert whole["seeds"]["seeds"] == 3
    assert len(whole["seeds"]["largest"]["composite_gain_fwd"]) == 3
    table = list(csv.DictReader(io.StringIO(client.get(f"/runs/{run_id}/result.csv").text)))
    assert [float(row["act_rms.log10.p95"]) for row in table] == pytest.approx(told)
    assert [float(row["token_cos.p05"]) for row in table] == pytest.approx(whole["bands"]["token_cos"]["p05"])
    with np.load(io.BytesIO(client.get(f"/runs/{run_id}/result.npz").content)) as arrays:
        assert arrays["bands.act_rms.p95"] == pytest.approx(told)
        assert json.loads(arrays["meta"].tobytes())["seeds"] == whole["seeds"]


def test_figures_are_read_by_plotly(client: httpx.Client, run_id: str) -> None:
    listed = client.get(f"/runs/{run_id}/figures").json()
    assert {"gain", "activation", "cka"} <= {panel["key"] for panel in listed}
    for panel in listed:
        figure = plotly.io.from_json(client.get(panel["href"].removeprefix("/api/v1")).text)
        assert figure.data, panel["key"]


def test_a_figure_of_several_runs_names_each(client: httpx.Client, run_id: str) -> None:
    spec = {"depth": DEPTH, "width": 16, "seed": 4242, "connection": {"kind": "mhc"}, "input": {"tokens": 16}}
    other = compute(client, spec)
    parameters: dict[str, str | int] = {"with": other, "layer": 2, "theme": "dark"}
    figure = plotly.io.from_json(client.get(f"/runs/{run_id}/figures/activation", params=parameters).text)
    names = {trace.name for trace in figure.data}
    assert any("A HC" in str(name) for name in names)
    assert any("B mHC" in str(name) for name in names)
    drawn = next(trace for trace in figure.data if trace.meta["run"] == 0 and trace.meta["end"])
    told = client.get(f"/runs/{run_id}/result").json()["layers_log10"]["act_rms"]
    assert np.allclose(np.asarray(drawn.y, dtype=float), told)


def test_bad_figures_are_refused(client: httpx.Client, run_id: str) -> None:
    url = f"/runs/{run_id}/figures"
    assert client.get(f"{url}/nothing").status_code == 404
    assert client.get(f"{url}/gain", params={"with": "unknown"}).status_code == 404
    check_problem(client.get(f"{url}/gain", params={"layer": DEPTH}), 422, "layer", f"0 to {DEPTH - 1}")
    check_problem(client.get(f"{url}/gain", params={"theme": "pink"}), 422, "theme", "dark")
    check_problem(client.get(f"{url}/gain", params={"view": "nothing"}), 422, "view", "one of")
    check_problem(client.get(f"{url}/gain", params={"with": ",".join("abcdefgh")}), 422, "with", "at most")


def test_parameters_that_figures_do_not_have_are_refused_by_name(client: httpx.Client, run_id: str) -> None:
    red = {"colour": "red"}
    url = f"/runs/{run_id}/figures/gain"
    check_problem(client.get(url, params=red), 422, "colour", "one of the parameters with, layer, theme, view")
    check_problem(client.get("/panels", params=red), 422, "colour", "one of the parameters runs, theme")
    check_problem(client.get(f"/runs/{run_id}/figures", params=red), 422, "colour", "no parameter")
    for sweep in ("/runs/sweep/x/figure", "/snapshots/x/sweep/figure"):
        check_problem(client.get(sweep, params=red), 422, "colour", "one of the parameters theme, metric, reduce")


def test_an_unknown_panel_is_refused_with_the_names_of_panels(client: httpx.Client, run_id: str) -> None:
    names = ", ".join(PANELS)
    for name, hint in (("gian", " Did you mean gain?"), ("a" * 200, "")):
        problem = check_problem(client.get(f"/runs/{run_id}/figures/{name}"), 404, "panel", f"one of {names}")
        assert problem["detail"].endswith(f" on this server.{hint} Known names: {names}.")


def test_a_run_that_is_not_done_has_no_result(client: httpx.Client, fresh_spec: FreshSpec) -> None:
    run_id = client.post("/runs", json=fresh_spec(**LONG)).json()["id"]
    for url in (f"/runs/{run_id}/result", f"/runs/{run_id}/figures/gain"):
        answer = client.get(url)
        assert answer.status_code == 409
        assert "retry-after" in answer.headers
    assert client.post("/snapshots", json={"runs": [run_id]}).status_code == 409
    client.delete(f"/runs/{run_id}")
    answer = client.get(f"/runs/{run_id}/result")
    assert answer.status_code == 409
    assert "cancelled" in answer.json()["detail"]


def test_what_is_known_of_a_run(client: httpx.Client, run_id: str) -> None:
    run = client.get(f"/runs/{run_id}").json()
    assert run["status"] == "done"
    assert run["spec"]["connection"]["kind"] == "hc"
    assert run["device"]["type"] == "cpu"
    assert run["versions"].keys() >= {"mhc_scope", "torch", "numpy", "numerics"}
    assert run["summary"]["findings"][0]["text"]
    assert run["timings"]["run_s"] > 0
    assert 0 < run["cost"]["seconds_low"] <= run["cost"]["seconds_likely"] <= run["cost"]["seconds_high"]
    counts = {key: type(value) for key, value in run["cost"].items() if not key.startswith("seconds")}
    assert counts == dict.fromkeys(("parameters", "flops", "bytes_moved", "peak_bytes"), int)
    for link in run["links"].values():
        assert client.get(link.removeprefix("/api/v1")).status_code == 200


def test_every_connection_has_a_name_on_figures() -> None:
    assert tuple(KIND_NAMES) == CONNECTION_KINDS
