"""What one client, and one address, may take of a server's streams and reads."""

from collections.abc import Iterator
from contextlib import ExitStack

import httpx
import pytest

from tests.app.engine.test_cancel import LONG
from tests.conftest import Server, compute
from tests.service.conftest import start_service
from tests.service.ownership.conftest import FreshSpec, join

pytestmark = pytest.mark.full


@pytest.fixture(scope="module")
def strict(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with a stream for each client and two for an address, and little that may be read."""
    streams = ("--client-streams", "1", "--address-streams", "2")
    reads = ("--client-read-bytes", "300000", "--address-read-bytes", "700000")
    data = tmp_path_factory.mktemp("strict")
    running = start_service(data, "--no-precompute", "--workers", "1", *streams, *reads)
    yield running
    running.kill()


def test_expensive_reads_are_a_quota(strict: Server, fresh_spec: FreshSpec) -> None:
    http = httpx.Client(base_url=strict.api, timeout=60)
    with http, join(http) as ann, join(http) as ben:
        run_id = compute(ann, fresh_spec())
        paths = ("result.json", "result.csv", "figures/gain", "composite", "result.npz")
        codes = [ann.get(f"/runs/{run_id}/{path}").status_code for path in paths]
        assert codes == [200, 200, 200, 429, 429]
        refused = ann.get(f"/runs/{run_id}/result.json")
        assert refused.json()["type"] == "/docs#problem-too-much-read"
        assert 0 < int(refused.headers["retry-after"]) <= 60
        assert ben.get(f"/runs/{run_id}/result.json").status_code == 200
        # Frames are the run itself, and not made anew for each who asks.
        assert ann.get(f"/runs/{run_id}/events").status_code == 200


def test_streams_are_a_quota_of_the_client_and_of_its_address(strict: Server, fresh_spec: FreshSpec) -> None:
    http = httpx.Client(base_url=strict.api, timeout=60)
    with http, join(http) as ann, join(http) as ben, join(http) as cleo, ExitStack() as stack:
        run_id = ann.post("/runs", json=fresh_spec(**LONG)).json()["id"]
        url = f"/runs/{run_id}/events"
        for other in (ann, ben):
            assert stack.enter_context(other.stream("GET", url)).status_code == 200
        for other, whose in ((ann, "this client"), (cleo, "all clients of this address")):
            refused = other.get(url)
            assert refused.status_code == 429
            assert int(refused.headers["retry-after"]) > 0
            assert whose in refused.json()["detail"]
        # A comparison that could not be followed is not started.
        spec = fresh_spec()
        asked = {"json": [spec], "headers": {"Accept": "text/event-stream"}}
        assert cleo.post("/runs/compare", **asked).status_code == 429  # type: ignore[arg-type]
        assert cleo.get(f"/runs/{ann.post('/estimate', json=spec).json()['id']}").status_code == 404
        assert ann.delete(f"/runs/{run_id}").json()["watchers"] == 1  # Ben's
