"""What a viewer of a run that trained is sent: everything, what its figures need first, or the steps."""

import json
from collections.abc import Callable
from typing import Any

import httpx
import pytest

FreshSpec = Callable[..., dict[str, Any]]

STEPS = 3
TRAINED = {"depth": 2, "train": {"steps": STEPS}, "connection": {"kind": "hc"}}


def read_lines(client: httpx.Client, run_id: str, **query: Any) -> list[dict[str, Any]]:
    """Return the frames of a run that an event stream sends."""
    answer = client.get(f"/runs/{run_id}/events", params=query, headers={"Accept": "application/x-ndjson"}, timeout=60)
    return [json.loads(line) for line in answer.iter_lines()]


def compute(client: httpx.Client, spec: dict[str, Any]) -> tuple[str, list[dict[str, Any]]]:
    """Compute a run; return its id and all its frames."""
    run_id = client.post("/runs", json=spec).json()["id"]
    return run_id, read_lines(client, run_id)


def test_the_result_and_the_steps_are_the_run_without_its_first_measurement(
    client: httpx.Client, fresh_spec: FreshSpec
) -> None:
    run_id, whole = compute(client, fresh_spec(**TRAINED))
    result, steps = (read_lines(client, run_id, frames=choice) for choice in ("result", "steps"))
    last = max(frame["index"] for frame in whole if frame["type"] == "step")
    assert result == [whole[0], *whole[last + 1 :]]
    assert steps == [*(frame for frame in whole if frame["type"] == "step"), whole[-1]]
    assert len(steps) == STEPS + 1
    assert read_lines(client, run_id, frames="all") == whole
    # A viewer that resumes misses nothing, wherever it was interrupted.
    assert read_lines(client, run_id, frames="result", after=0) == whole[1:]
    assert read_lines(client, run_id, frames="steps", after=last - 1) == [whole[last], whole[-1]]


def test_a_run_without_training_is_sent_whole(client: httpx.Client, fresh_spec: FreshSpec) -> None:
    run_id, whole = compute(client, fresh_spec(depth=2))
    assert read_lines(client, run_id, frames="result") == whole


def test_a_live_run_is_sent_whole_and_a_stored_one_without_its_steps(
    client: httpx.Client, fresh_spec: FreshSpec
) -> None:
    spec = fresh_spec(**TRAINED)

    def count_steps() -> int:
        answer = client.post(
            "/runs/compare", params={"frames": "result"}, json=[spec], headers={"Accept": "text/event-stream"}
        )
        return answer.text.count("event: step\n")

    assert count_steps() == STEPS
    assert count_steps() == 0


@pytest.mark.parametrize("address", ["/runs/{}/events", "/runs/events?ids={}"])
def test_an_unknown_choice_is_refused(client: httpx.Client, fresh_spec: FreshSpec, address: str) -> None:
    run_id, _ = compute(client, fresh_spec(depth=2))
    assert client.get(address.format(run_id), params={"frames": "some"}).status_code == 422
