"""Whose runs and views are whose: what another client may do with them."""

from contextlib import ExitStack
from typing import Any

import httpx
import pytest

from tests.app.engine.test_cancel import LONG, start_long
from tests.conftest import Server, compute
from tests.service.ownership.conftest import Clients, FreshSpec, join

HERE = "127.0.0.1"


@pytest.mark.sample(3)
@pytest.mark.attack("ownership")
@pytest.mark.parametrize("how", ["cookie", "new cookie", "none", "her address as viewer", "viewer"])
def test_another_client_does_not_cancel_a_run(
    clients: Clients, client: httpx.Client, fresh_spec: FreshSpec, how: str
) -> None:
    ann, ben = clients
    run_id = ann.post("/runs", json=fresh_spec(**LONG)).json()["id"]
    viewer = {"her address as viewer": HERE, "viewer": "hers"}.get(how, "")
    with ExitStack() as stack:
        other = {"cookie": ben, "none": client}.get(how) or stack.enter_context(join(client))
        answer = other.delete(f"/runs/{run_id}", params={"viewer": viewer} if viewer else {})
    assert answer.status_code == 200  # a page that moves on sends this for runs that others asked for first
    assert answer.json()["status"] in ("queued", "running")
    assert "another client" in answer.json()["detail"]
    assert ann.delete(f"/runs/{run_id}").json()["status"] == "cancelled"


@pytest.mark.full
@pytest.mark.attack("ownership")
def test_a_viewers_token_is_none_in_another_mouth(clients: Clients, fresh_spec: FreshSpec) -> None:
    ann, ben = clients
    run_id = start_long(ann, fresh_spec(**LONG))
    with ben.stream("GET", f"/runs/{run_id}/events", params={"viewer": "page"}) as stream:
        chunks = stream.iter_raw()  # closes the stream where nothing holds it
        next(chunks)
        # Ann says that she is the viewer whose stream is open: with her own cookie she is not.
        left = ann.delete(f"/runs/{run_id}", params={"viewer": "page"}).json()
        assert (left["status"], left["watchers"]) == ("running", 1)


@pytest.mark.full
def test_a_viewers_own_stream_does_not_hold_up_its_delete(clients: Clients, fresh_spec: FreshSpec) -> None:
    ann, _ = clients
    run_id = start_long(ann, fresh_spec(**LONG))
    with ann.stream("GET", f"/runs/{run_id}/events", params={"viewer": "page"}) as stream:
        chunks = stream.iter_raw()  # closes the stream where nothing holds it
        next(chunks)
        assert ann.delete(f"/runs/{run_id}", params={"viewer": "page"}).json()["status"] == "cancelled"


@pytest.mark.full
def test_what_a_script_made_any_at_its_address_may_cancel(
    clients: Clients, client: httpx.Client, fresh_spec: FreshSpec
) -> None:
    run_id = client.post("/runs", json=fresh_spec(**LONG)).json()["id"]
    assert clients[0].delete(f"/runs/{run_id}").json()["status"] == "cancelled"


@pytest.mark.full
def test_a_sweep_ends_when_all_who_asked_for_it_have_left(
    clients: Clients, client: httpx.Client, fresh_spec: FreshSpec
) -> None:
    ann, ben = clients
    grid = {"spec": fresh_spec(**LONG), "x": {"field": "connection.noise", "values": [0.1, 0.2, 0.3]}}
    sweep = ann.post("/runs/sweep", json=grid).json()["links"]["self"].removeprefix("/api/v1")
    with join(client) as stranger:
        refused = stranger.delete(sweep)
    assert (refused.status_code, refused.json()["type"]) == (403, "/docs#problem-not-owner")
    assert ben.post("/runs/sweep", json=grid).status_code == 202
    assert ann.delete(sweep).json()["is_open"] is True  # Ben wants it still
    assert ann.delete(sweep).status_code == 403
    assert ben.delete(sweep).json()["is_open"] is False


def test_a_view_is_told_with_its_key_once(clients: Clients, view: dict[str, Any], server: Server) -> None:
    ann, ben = clients
    same = {name: view[name] for name in ("runs", "title")}
    for other in (ann, ben):
        again = other.post("/snapshots", json=same)
        assert (again.status_code, again.json()["id"], again.json()["key"]) == (200, view["id"], None)
    assert len(view["key"]) == 32
    assert "key" not in ben.get(f"/snapshots/{view['id']}").json()
    for place in (f"{server.url}/s/{view['id']}", f"{server.api}/snapshots/{view['id']}"):
        assert view["key"] not in httpx.get(place).text


@pytest.mark.sample(4)
@pytest.mark.attack("ownership")
@pytest.mark.parametrize("key", ["", "x", "mine", "mhc_0123456789abcdef_" + "x" * 43, "null", "None", "\0"])
def test_without_its_key_another_does_not_delete_a_view(
    clients: Clients, view: dict[str, Any], fresh_spec: FreshSpec, key: str
) -> None:
    _, ben = clients
    url = f"/snapshots/{view['id']}"
    if key == "mine":
        key = ben.post("/snapshots", json={"runs": [compute(ben, fresh_spec())]}).json()["key"]
    headers = {} if not key else {"Authorization": f"Bearer {key}"}
    if "\0" not in key:
        assert ben.delete(url, headers=headers).status_code == (401 if key.startswith("mhc_") else 403)
    assert ben.delete(url, params={"key": view["key"]}).status_code == 403  # it belongs in the header
    assert ben.get(url).status_code == 200


@pytest.mark.parametrize("how", ["client", "key"])
def test_its_owner_deletes_a_view(clients: Clients, view: dict[str, Any], server: Server, how: str) -> None:
    ann, ben = clients
    url, run_id = f"/snapshots/{view['id']}", view["runs"][0]
    assert ben.get(f"/runs/{run_id}").json()["pinned"] is True
    gone = ann.delete(url) if how == "client" else ben.delete(url, headers={"Authorization": f"Bearer {view['key']}"})
    assert gone.status_code == 200
    assert ann.get(url).status_code == ann.delete(url).status_code == 404
    assert httpx.get(f"{server.url}/s/{view['id']}").status_code == 404
    assert ann.get(f"/runs/{run_id}").json()["pinned"] is False


@pytest.mark.full
def test_a_run_that_another_view_holds_stays(clients: Clients, view: dict[str, Any]) -> None:
    ann, ben = clients
    run_id = view["runs"][0]
    other = ben.post("/snapshots", json={"runs": [run_id], "title": "Ben's"}).json()
    ann.delete(f"/snapshots/{view['id']}")
    assert ann.get(f"/runs/{run_id}").json()["pinned"] is True
    ben.delete(f"/snapshots/{other['id']}")
    assert ann.get(f"/runs/{run_id}").json()["pinned"] is False


def test_a_client_is_shown_its_own_views(clients: Clients, view: dict[str, Any]) -> None:
    ann, ben = clients
    (entry,) = ann.get("/snapshots?mine=true").json()
    assert entry.keys() == {"id", "url", "title", "created_at", "expires_at", "bytes"}
    assert (entry["id"], entry["title"]) == (view["id"], "Ann's")
    assert entry["expires_at"] > entry["created_at"]
    assert entry["bytes"] > 20
    assert ben.get("/snapshots").json() == []
