"""Costs over HTTP: of every connection at one stack, and of the paper's models."""

import csv
import io

import httpx
import plotly.io
import pytest

from mhc_core import figures
from mhc_core.cost.paper_models import paper_shapes
from mhc_core.figures.style import THEMES
from tests.app.api.test_bodies import check_problem


def test_every_connection_is_priced_at_the_same_stack(client: httpx.Client) -> None:
    spec = {"depth": 8, "width": 32, "connection": {"kind": "hc", "dynamic": True}}
    costs = {cost["connection"]: cost for cost in client.post("/costs", json=spec).json()}
    estimate = client.post("/estimate", json=spec).json()
    assert costs["hc"]["parameters"] == estimate["parameters"]
    assert costs["hc"]["peak_bytes"] == estimate["peak_bytes"]
    assert costs["residual"]["parameters"] < costs["hc"]["parameters"] < costs["mhc"]["parameters"]
    assert costs["residual"]["bytes_moved"] < costs["hc"]["bytes_moved"] < costs["mhc"]["bytes_moved"]


def test_a_mistake_in_the_spec_is_named(client: httpx.Client) -> None:
    check_problem(client.post("/costs", json={"depth": 0}), 422, "depth", "1 to 1024")


def test_the_papers_models_are_there_with_what_they_print(client: httpx.Client) -> None:
    body = client.get("/costs/paper").json()
    assert [model["shape"]["name"] for model in body["models"]] == ["3B", "9B", "27B"]
    assert body["published_overhead"] == 0.067
    assert "2512.24880" in body["published_source"]
    assert body == paper_shapes().model_dump(mode="json")


def test_costs_as_csv_are_the_numbers_and_what_is_added(client: httpx.Client) -> None:
    spec = {"depth": 8, "width": 32}
    costs = client.post("/costs", json=spec).json()
    answer = client.post("/costs.csv", json=spec)
    assert answer.headers["content-type"].startswith("text/csv")
    rows = list(csv.DictReader(io.StringIO(answer.text)))
    assert [row["connection"] for row in rows] == [cost["connection"] for cost in costs]
    reference = next(cost for cost in costs if cost["connection"] == "residual")
    for row, cost in zip(rows, costs, strict=True):
        for measure in ("parameters", "flops", "bytes_moved", "peak_bytes", "seconds"):
            assert float(row[measure]) == cost[measure]
            assert float(row[f"{measure}_added"]) == pytest.approx(cost[measure] / reference[measure] - 1)
    check_problem(client.post("/costs.csv", json={"depth": 0}), 422, "depth", "1 to 1024")


@pytest.mark.full
@pytest.mark.parametrize("theme", THEMES)
def test_a_notebook_reads_the_figure_of_costs(client: httpx.Client, theme: figures.ThemeName) -> None:
    spec = {"depth": 8, "width": 32, "connection": {"streams": 3}}
    costs = client.post("/costs", json=spec).json()
    drawn = plotly.io.from_json(client.post("/costs/figure", json=spec, params={"theme": theme}).text)
    traffic, time = drawn.data
    assert (traffic.name, time.name) == ("memory traffic", "time")
    assert "KromHC" not in traffic.y, "which takes a power of two"
    reference = next(cost for cost in costs if cost["connection"] == "residual")
    for trace, measure in ((traffic, "bytes_moved"), (time, "seconds")):
        wanted = [100 * (cost[measure] / reference[measure] - 1) for cost in costs]
        assert list(trace.x) == pytest.approx(wanted)
        assert drawn.layout.xaxis.range[0] <= min(wanted) <= max(wanted) <= drawn.layout.xaxis.range[1]
    assert traffic.text[traffic.y.index("Residual")] == "±0 %"
    assert drawn.layout.paper_bgcolor == THEMES[theme].card
    assert drawn.layout.shapes[0].x0 == pytest.approx(100 * paper_shapes().published_overhead)
    check_problem(client.post("/costs/figure", json=spec, params={"theme": "blue"}), 422, "theme", "light")
