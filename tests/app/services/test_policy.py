"""Without the service there are no accounts: a token is refused, and limits are those of the whole server."""

import httpx
import pytest

from mhc_scope.services.errors import QueueFullError
from mhc_scope.services.identity import ClientIdentity
from mhc_scope.services.policy import OpenPolicy
from mhc_scope.settings import Settings
from mhc_scope.store.runs import LiveCost
from tests.conftest import Server

ANN, BEN = (ClientIdentity(f"address:192.0.2.{number}", f"192.0.2.{number}") for number in (1, 2))


def test_an_access_token_is_refused_and_not_taken_for_none(server: Server) -> None:
    answer = httpx.get(f"{server.api}/presets", headers={"Authorization": "Bearer mhc_0123456789abcdef_x"})
    assert answer.status_code == 401
    assert "no accounts" in answer.json()["detail"]


@pytest.mark.parametrize("path", ["/rooms", "/metrics", "/admin", "/sign-in", "/api/v1/rooms/x"])
def test_addresses_of_the_service_are_not_there(server: Server, path: str) -> None:
    assert httpx.get(server.url + path).status_code == 404


def test_a_page_sets_no_cookie(server: Server) -> None:
    assert "set-cookie" not in httpx.get(server.url).headers


def test_the_queue_is_bounded_for_all_clients_together() -> None:
    policy, live = OpenPolicy(Settings(queue_s=10, workers=2)), [LiveCost(ANN.key, ANN.address, 8.0)]
    policy.require_queue_capacity(BEN, [2.0], live)
    with pytest.raises(QueueFullError, match=r"About 8[.0]* s .* all clients together; 10 s is allowed") as caught:
        policy.require_queue_capacity(BEN, [6.0], live)
    assert caught.value.retry_after_s == 2  # 4 s too much, two workers
    policy.require_queue_capacity(BEN, [50.0], [])
