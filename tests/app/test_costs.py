"""Costs over HTTP: of every connection at one stack, and of the paper's models."""

import httpx

from mhc_core.paper_costs import paper_shapes
from tests.app.test_bodies import check_problem


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
