"""Runs from a script, against a real server: what the client says is what the server's own files say."""

import inspect
import io
import json
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import numpy as np
import pytest

from mhc_core.record import codec
from mhc_core.record.frames import AnyFrame
from mhc_core.spec import SpecError, parse_spec
from mhc_probe.client import ArgumentError, AsyncClient, Client, ClientError, LostError, RefusedError, RunFailedError
from tests.apart import run_loop
from tests.app.engine.test_cancel import LONG
from tests.browser.relay import Relay
from tests.conftest import Server
from tests.ports import free_port

FreshSpec = Callable[..., dict[str, Any]]


@pytest.fixture
def script(server: Server) -> Iterator[Client]:
    """A client of the shared server."""
    with Client(server.url) as made:
        yield made


@pytest.fixture
def relay(server: Server) -> Iterator[Relay]:
    """A way to the shared server that can be cut."""
    made = Relay(int(server.url.rpartition(":")[2]))
    yield made
    made.close()


def read_lines(http: httpx.Client, run_id: str) -> list[Any]:
    """A run's frames as the server has stored them."""
    answer = http.get(f"/runs/{run_id}/events", headers={"Accept": "application/x-ndjson"})
    return [json.loads(line) for line in answer.content.removesuffix(b"\n").split(b"\n")]


def to_lines(run_id: str, frames: list[AnyFrame]) -> list[Any]:
    """The same, encoded anew."""
    return [json.loads(codec.encode_frame(frame, run_id, index)) for index, frame in enumerate(frames)]


def test_frames_come_as_they_are_stored(script: Client, client: httpx.Client, fresh_spec: FreshSpec) -> None:
    # Characters that Python takes for ends of lines, and the protocol does not.
    run = script.submit(fresh_spec(input={"kind": "text", "text": "a\u2028b\x85c\x0bd " * 20, "tokens": 16}))
    assert run.status in ("queued", "running")
    frames = list(script.follow(run))
    assert [frame.type for frame in (frames[0], frames[-1])] == ["start", "end"]
    assert to_lines(run.id, frames) == read_lines(client, run.id)
    assert script.get_run(run).status == "done"


def test_a_result_has_the_arrays_of_the_npz_file(script: Client, client: httpx.Client, fresh_spec: FreshSpec) -> None:
    run = script.submit(fresh_spec(connection={"kind": "hc", "dynamic": True}, train={"steps": 2}))
    arrays = script.result(run).to_arrays()
    with np.load(io.BytesIO(client.get(f"/runs/{run.id}/result.npz").content)) as stored:
        assert set(stored.files) - {"meta"} == set(arrays)
        for name, column in arrays.items():
            np.testing.assert_array_equal(column, stored[name])


def test_a_spec_is_the_same_run_as_its_fields(script: Client, fresh_spec: FreshSpec) -> None:
    fields = fresh_spec(connection={"kind": "mhc"})
    spec = parse_spec(fields)
    assert script.submit(spec).id == script.submit(fields).id == spec.id
    plain, mixed = script.compare([fields | {"connection": {"kind": "residual"}}, spec])
    assert mixed.id == spec.id != plain.id


@pytest.mark.full
def test_a_stream_that_is_cut_loses_no_frame(
    relay: Relay, client: httpx.Client, fresh_spec: FreshSpec, server: Server
) -> None:
    cuts = {20, 60, 300}
    with Client(f"http://127.0.0.1:{relay.port}") as script:
        run = script.submit(fresh_spec(depth=256, width=64))
        frames = []
        for frame in script.follow(run):
            frames.append(frame)
            if len(frames) in cuts:
                relay.cut()
    assert len(relay.accepted) > 1, "the connection was never cut"
    assert to_lines(run.id, frames) == read_lines(client, run.id)


@pytest.mark.full
def test_the_async_client_does_the_same(server: Server, script: Client, fresh_spec: FreshSpec) -> None:
    async def compute() -> tuple[str, list[AnyFrame], dict[str, np.ndarray]]:
        async with AsyncClient(server.url) as client:
            run = await client.submit(fresh_spec())
            frames = [frame async for frame in client.follow(run)]
            return run.id, frames, (await client.result(run)).to_arrays()

    run_id, frames, arrays = run_loop(compute())
    assert to_lines(run_id, frames) == to_lines(run_id, list(script.follow(run_id)))
    for name, column in script.result(run_id).to_arrays().items():
        np.testing.assert_array_equal(arrays[name], column)


@pytest.mark.full
def test_an_atlas_comes_when_it_is_done(script: Client, client: httpx.Client, fresh_spec: FreshSpec) -> None:
    run = script.submit(fresh_spec(depth=3, connection={"kind": "hc", "streams": 2}))
    script.result(run)
    atlas = script.atlas(run)
    assert (atlas.status, atlas.done, atlas.seeds) == ("done", 1.0, 1)
    assert atlas.loss.shape == atlas.output_kl.shape == atlas.effect_last.shape == (len(atlas.cuts), 3, 2)
    assert atlas.loss.tolist() == client.get(f"/runs/{atlas.run}/atlas").json()["loss"]


@pytest.mark.full
def test_an_edited_run_has_no_atlas(script: Client, fresh_spec: FreshSpec) -> None:
    run = script.submit(fresh_spec(edits=[{"layers": [0, 0], "what": "branch", "do": "zero"}]))
    script.result(run)
    with pytest.raises(RefusedError, match="without edits"):
        script.atlas(run)


def test_both_clients_have_the_same_calls() -> None:
    def describe(kind: type) -> dict[str, tuple[str, str | None]]:
        calls = {name: call for name, call in vars(kind).items() if not name.startswith("_")}
        texts = {
            name: str(inspect.signature(call)).replace("AsyncIterator", "Iterator") for name, call in calls.items()
        }
        return {name: (text, calls[name].__doc__) for name, text in texts.items()}

    assert describe(Client) == describe(AsyncClient)
    assert len(describe(Client)) > 15


def test_a_mistake_is_named_by_its_field(script: Client) -> None:
    with pytest.raises(RefusedError, match="Depth must be a whole number from 1") as caught:
        script.submit({"depth": 0})
    assert (caught.value.status, caught.value.kind) == (422, "invalid-spec")
    assert [(error.field, error.got) for error in caught.value.errors] == [("depth", 0)]
    with pytest.raises(RefusedError, match="No run named") as missing:
        script.result("nothing")
    assert missing.value.status == 404


def test_a_run_without_a_result_says_why(lone_server: Server, fresh_spec: FreshSpec) -> None:
    with Client(lone_server.url) as script:
        run = script.submit(LONG | {"seed": fresh_spec()["seed"]})
        assert script.cancel(run) == "cancelled"
        with pytest.raises(RunFailedError, match=f"run {run.id} is cancelled") as caught:
            script.result(run)
    assert caught.value.status == "cancelled"


@pytest.mark.full
def test_a_server_that_is_away_is_named() -> None:
    with Client(f"http://127.0.0.1:{free_port()}", patience_s=0.3) as script:
        with pytest.raises(LostError, match=r"POST /api/v1/runs: .*refused"):
            script.submit({})
        with pytest.raises(LostError, match=r"GET /api/v1/runs/a/events: .*refused"):
            list(script.follow("a"))
    with pytest.raises(ArgumentError, match="url: got 'localhost:8000', wanted the address of a server"):
        Client("localhost:8000")


@pytest.mark.parametrize("run_id", ["", "../presets", "a?b"])
def test_what_is_no_id_is_refused_without_a_request(run_id: str) -> None:
    with Client("http://127.0.0.1:1") as script, pytest.raises(ArgumentError, match="id: got"):
        script.get_run(run_id)


@pytest.mark.sample(4)
@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda client: client.submit("depth"), "spec: got 'depth', wanted a RunSpec, or a dict of its fields"),
        (lambda client: client.submit([{"depth": 3}]), r"spec: got \[{'depth': 3}\], wanted a RunSpec, or a dict"),
        (lambda client: client.submit({"depth"}), "spec: got {'depth'}, wanted a RunSpec, or a dict of its fields"),
        (lambda client: client.submit(None), "spec: got None, wanted"),
        (
            lambda client: client.submit({"depth": {3}}),
            r"body: got {'depth': \{3\}}, wanted what JSON can express \(.*set",
        ),
        (lambda client: client.compare({"depth": 3}), "specs: got {'depth': 3}, wanted a list of specs"),
        (lambda client: client.compare([3]), "spec: got 3, wanted a RunSpec, or a dict"),
        (lambda client: client.get_run(3), "record: got 3, wanted what a call of the client returned, or its id"),
        (
            lambda client: client.start_sweep({}, ["depth"]),
            r"axes: got \['depth'\], wanted a dict of one or two fields",
        ),
        (lambda client: client.publish(3), "trace: got 3, wanted a result, or the path of a file"),
        (lambda client: Client(token="a b"), "token: got '3 characters', wanted an access token"),
        (lambda client: Client("localhost"), "url: got 'localhost', wanted the address of a server"),
    ],
)
def test_an_argument_that_cannot_be_sent_is_named(call: Callable[[Any], object], said: str) -> None:
    """Without a server: nothing is sent. Scripts that look for mistakes in specs find them too."""
    away = f"http://127.0.0.1:{free_port()}"
    with Client(away, patience_s=0) as script, pytest.raises(ClientError, match=said) as caught:
        call(script)
    assert isinstance(caught.value, SpecError)


@pytest.mark.full
def test_an_option_that_a_figure_does_not_have_is_refused_by_name(script: Client, fresh_spec: FreshSpec) -> None:
    run = script.submit(fresh_spec())
    with pytest.raises(ClientError, match="colour: got 'red', wanted one of the parameters with, layer, theme, view"):
        script.figure(run, "gain", colour="red")
    assert script.figure(run, "gain", theme="dark")["data"]


@pytest.mark.full
def test_a_bar_is_shown_where_it_is_wanted(
    server: Server, fresh_spec: FreshSpec, capfd: pytest.CaptureFixture[str]
) -> None:
    spec = fresh_spec(train={"steps": 3})
    with Client(server.url) as quiet:
        run = quiet.submit(spec)
        quiet.result(run)
    assert capfd.readouterr() == ("", "")  # standard error is no terminal here
    with Client(server.url, progress=True) as loud:
        loud.result(run)
    assert "23/23" in capfd.readouterr().err  # 3 steps, and 5 states up and down before and after


@pytest.mark.full
def test_a_lens_comes_when_it_is_done(script: Client, client: httpx.Client, fresh_spec: FreshSpec) -> None:
    run = script.submit(fresh_spec(depth=2, connection={"kind": "hc", "streams": 2}))
    script.result(run)
    lens = script.lens(run)
    body = client.get(f"/runs/{lens.run}/lens").json()
    assert lens.kl.tolist() == body["kl"]
    assert lens.kl_subsets.shape == (3, len(lens.subsets))
    assert lens.probes["position"].shape == (3, 2)
    assert lens.chance["position"] == body["probes"][0]["chance"]
    assert lens.tokens[0][0] == (body["tokens"][0][0]["token"], body["tokens"][0][0]["probability"])
