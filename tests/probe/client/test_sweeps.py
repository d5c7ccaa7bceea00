"""Sweeps, figures and stored views from a script, against a real server."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import plotly.graph_objects as go
import polars
import pytest

from mhc_probe.client import ArgumentError, Client, RefusedError
from tests.conftest import Server

FreshSpec = Callable[..., dict[str, Any]]
AXES = {"depth": [2, 4, 6], "connection.streams": [1, 3]}


@pytest.fixture
def script(server: Server) -> Iterator[Client]:
    """A client of the shared server."""
    with Client(server.url) as made:
        yield made


def test_a_sweep_is_the_numbers_of_its_runs(script: Client, fresh_spec: FreshSpec, tmp_path: Path) -> None:
    sweep = script.sweep(fresh_spec(connection={"kind": "hc", "noise": 0.5}), AXES)
    assert (sweep.is_open, sweep.counts) == (False, {"done": 6})
    values = script.sweep_values(sweep, "composite_gain_fwd")
    assert values.title == "Gain, forward, largest over layers"
    for row, ids in enumerate(sweep.ids):
        for column, run_id in enumerate(ids):
            gains = script.result(run_id).layers["composite_gain_fwd"]
            assert (len(gains), values.values[row, column]) == (AXES["depth"][column], gains.max())
    np.testing.assert_allclose(values.log10, np.log10(values.values), atol=1e-6)

    frame = values.to_pandas()
    assert list(frame["depth"]) == [2, 4, 6, 2, 4, 6]
    assert list(frame["connection.streams"]) == [1, 1, 1, 3, 3, 3]
    np.testing.assert_array_equal(frame["value"], values.values.ravel())
    assert values.to_polars().rows() == list(frame.itertuples(index=False, name=None))
    assert polars.read_parquet(values.to_parquet(tmp_path / "x.parquet")).equals(values.to_polars())


@pytest.mark.full
def test_a_sweep_over_one_field_has_one_row(script: Client, fresh_spec: FreshSpec) -> None:
    sweep = script.start_sweep(fresh_spec(), {"depth": [2, 3]})
    assert script.cancel_sweep(sweep).id == sweep.id
    assert [len(row) for row in script.get_sweep(sweep).ids] == [2]
    with pytest.raises(ArgumentError, match=r"axes: got \[\], wanted one or two fields"):
        script.sweep({}, {})
    with pytest.raises(RefusedError, match=r"x\.values"):
        script.sweep({}, {"depth": []})


@pytest.mark.full
def test_a_sweep_that_the_server_forgot_goes_on(launch: Callable[..., Server], fresh_spec: FreshSpec) -> None:
    server = launch("--workers", "1")
    spec = fresh_spec(depth=64, width=32)
    with Client(server.url) as script:
        first = script.start_sweep(spec, AXES)
        server.kill()
        launch("--workers", "1", port=int(server.url.rpartition(":")[2]))
        sweep = script.sweep(spec, AXES)
    assert (sweep.ids, sweep.counts) == (first.ids, {"done": 6})


@pytest.mark.full
def test_figures_are_those_of_the_api(script: Client, client: httpx.Client, fresh_spec: FreshSpec) -> None:
    runs = script.compare([fresh_spec(seed=1, connection={"kind": kind}) for kind in ("hc", "mhc")])
    figure = script.figure(runs[0], "gain", others=[runs[1]], difference=True, layer=2, label=["a", "b"])
    query = f"?with={runs[1].id}&difference=true&layer=2&label=a&label=b"
    assert figure == client.get(f"/runs/{runs[0].id}/figures/gain{query}").json()
    assert go.Figure(figure).data
    with pytest.raises(RefusedError, match="layer: got 9, wanted 0 to 3"):
        script.figure(runs[0], "gain", layer=9)


@pytest.mark.full
def test_a_view_is_kept_with_its_sweep(script: Client, server: Server, fresh_spec: FreshSpec) -> None:
    sweep = script.sweep(fresh_spec(connection={"kind": "hc"}), {"depth": [2, 4]})
    kept = script.create_snapshot([sweep.ids[0][1]], title="Two depths", note="for the talk", sweep=sweep)
    assert script.get_snapshot(kept.id) == kept
    assert (kept.title, kept.note, kept.runs) == ("Two depths", "for the talk", [sweep.ids[0][1]])
    assert httpx.get(server.url + kept.url).status_code == 200
    live, stored = (script.sweep_values(of, "act_rms", "last") for of in (sweep, kept))
    np.testing.assert_array_equal(live.values, stored.values)
    assert script.sweep_figure(kept, "act_rms")["data"][0]["type"] == "heatmap"
