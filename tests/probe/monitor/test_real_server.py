"""A training watched on this product's own server, which is killed on the way and comes back."""

import json
import time

import httpx
import pytest

from mhc_probe import Monitor
from tests.conftest import StartServer
from tests.ports import free_port
from tests.probe.monitor.models import Tiny, build_optimizer, draw_batches, train

pytestmark = pytest.mark.full

STEPS = 12


def test_a_killed_server_comes_back_to_a_whole_trace(launch: StartServer) -> None:
    port = free_port()
    server = launch("--workers", "1", port=port, ready="/livez")
    model, batches, losses = Tiny(), draw_batches(), []
    optimizer = build_optimizer(model)
    with Monitor(model, every=1, to=server.url, layers=model.blocks) as monitor:
        for number in range(STEPS):
            optimizer.zero_grad()
            loss = model(**next(batches)).loss
            loss.backward()
            optimizer.step()
            losses.append(float(loss.detach()))
            if number == 3:
                while monitor.url is None:
                    time.sleep(0.02)
                record = monitor.url.rpartition("=")[2]
                assert httpx.get(f"{server.api}/runs/{record}").json()["status"] == "running"
                server.kill()
            if number == 8:
                launch("--workers", "1", port=port, ready="/livez")
    assert losses == train(Tiny(), STEPS)
    assert httpx.get(f"{server.api}/runs/{record}").json()["status"] == "done"
    events = httpx.get(f"{server.api}/runs/{record}/events", headers={"Accept": "application/x-ndjson"}, timeout=60)
    frames = [json.loads(line) for line in events.text.splitlines()]
    assert [frame["index"] for frame in frames] == [*range(len(frames))]
    steps = [frame for frame in frames if frame["type"] == "step"]
    assert [step["iteration"] for step in steps] == [*range(STEPS)]
    assert [step["values"]["step_loss"] for step in steps] == losses
    assert frames[-1]["type"] == "end"
    assert httpx.get(f"{server.api}/runs/{record}/figures/training", timeout=60).json()["data"]
