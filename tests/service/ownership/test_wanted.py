"""A run is not cancelled under a client that has just been told that it is computed."""

from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from tests.app.engine.test_cancel import LONG, start_long
from tests.conftest import wait_for_end
from tests.service.ownership.conftest import Clients, FreshSpec

pytestmark = pytest.mark.full

# Long enough to be cancelled in the middle, short enough to be waited for.
BRIEF = {"depth": 96, "width": 32, "input": {"batch": 4, "tokens": 64}}


def test_a_run_goes_on_between_the_answer_to_another_client_and_its_stream(
    clients: Clients, fresh_spec: FreshSpec
) -> None:
    ann, ben = clients
    spec = fresh_spec(**LONG)
    run_id = start_long(ann, spec)
    assert ben.post("/runs", json=spec).json()["status"] == "running"
    left = ann.delete(f"/runs/{run_id}").json()
    assert (left["status"], left["watchers"]) == ("running", 0)
    assert "another client" in left["detail"]


@pytest.mark.parametrize("ask", [0, 1, 2, 3])
def test_who_asks_while_another_cancels_gets_the_whole_run(clients: Clients, fresh_spec: FreshSpec, ask: int) -> None:
    ann, ben = clients
    spec = fresh_spec(**BRIEF)
    run_id = start_long(ann, spec)

    def cancel(http: httpx.Client) -> str:
        return str(http.delete(f"/runs/{run_id}").json()["status"])

    def join(http: httpx.Client) -> str:
        return str(http.post("/runs", json=spec).json()["status"])

    with ThreadPoolExecutor(2) as pool:
        # Every second time the one comes before the other.
        works = [(cancel, ann), (join, ben)][:: 1 if ask % 2 else -1]
        for work in [pool.submit(do, http) for do, http in works]:
            work.result()
    assert wait_for_end(ben, run_id)["status"] == "done"
