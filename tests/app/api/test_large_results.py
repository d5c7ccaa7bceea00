"""Results that are written outside the server process are the same as those written inside, and are kept in files."""

import gzip
import io
import os
import shutil
import signal
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from mhc_scope.services.encoded_files import SPARED_S, EncodedFiles
from tests.conftest import Server, StartServer, compute, start_server

pytestmark = pytest.mark.full

SPEC = {
    "depth": 24,
    "width": 16,
    "seed": 77,
    "input": {"tokens": 16},
    "connection": {"kind": "hc"},
    "train": {"steps": 2},
}
PLAIN = {"Accept-Encoding": "identity"}
# Everything is large here.
OUTSIDE = ("--no-precompute", "--workers", "1", "ENCODE_INSIDE_BYTES=0")


@pytest.fixture(scope="module")
def outside(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that writes every result in another process."""
    running = start_server(tmp_path_factory.mktemp("outside"), *OUTSIDE)
    yield running
    running.kill()


@pytest.fixture(scope="module")
def http(outside: Server) -> Iterator[httpx.Client]:
    """HTTP to its API."""
    with httpx.Client(base_url=outside.api, timeout=60) as client:
        yield client


@pytest.fixture(scope="module")
def run_id(http: httpx.Client) -> str:
    """A run with every table."""
    return compute(http, SPEC)


def drop_times(body: dict[str, Any]) -> dict[str, Any]:
    """The result without what differs between two computations."""
    return {key: value for key, value in body.items() if key not in ("summary", "device")}


def find_encoders(server: Server) -> list[int]:
    """Processes of the server that encode."""
    name = f"enc of {server.process.pid}"[:15]
    found = []
    for path in Path("/proc").glob("[0-9]*/comm"):
        try:
            if path.read_text().strip() == name:
                found.append(int(path.parent.name))
        except (FileNotFoundError, ProcessLookupError):
            continue
    return found


@pytest.mark.parametrize("arrays", ["nested", "packed"])
def test_a_result_from_outside_is_that_from_inside(
    http: httpx.Client, run_id: str, client: httpx.Client, arrays: str
) -> None:
    assert compute(client, SPEC) == run_id
    asked = {"arrays": arrays}
    inside = client.get(f"/runs/{run_id}/result", params=asked)
    outside = http.get(f"/runs/{run_id}/result", params=asked)
    assert drop_times(outside.json()) == drop_times(inside.json())
    assert outside.headers["content-type"] == inside.headers["content-type"]
    assert outside.headers["content-encoding"] == "gzip"
    assert http.get(f"/runs/{run_id}/result", params=asked, headers=PLAIN).content == outside.content


def test_tables_and_archives_come_from_outside_too(http: httpx.Client, run_id: str, client: httpx.Client) -> None:
    compute(client, SPEC)
    assert http.get(f"/runs/{run_id}/result.csv").text == client.get(f"/runs/{run_id}/result.csv").text
    told = http.get(f"/runs/{run_id}/result.npz")
    assert f"mhc-scope-{run_id}.npz" in told.headers["content-disposition"]
    with (
        np.load(io.BytesIO(told.content)) as outside,
        np.load(io.BytesIO(client.get(f"/runs/{run_id}/result.npz").content)) as inside,
    ):
        assert outside.files == inside.files
        for name in set(outside.files) - {"meta"}:
            np.testing.assert_array_equal(outside[name], inside[name])


def test_figures_of_large_runs_come_from_outside(
    outside: Server, http: httpx.Client, client: httpx.Client, run_id: str
) -> None:
    other = {**SPEC, "connection": {"kind": "mhc"}}
    with_other = compute(http, other)
    for asker in (http, client):
        assert compute(asker, SPEC) == run_id
        assert compute(asker, other) == with_other
    asked: list[tuple[str, dict[str, Any]]] = [
        ("gain", {}),
        ("gain_bwd", {}),
        ("activation", {"with": with_other, "layer": 3, "theme": "dark", "label": ["one", "two"]}),
        ("cka", {"step": 1}),
        ("gain", {"with": with_other, "difference": True, "first": 2, "last": 9}),
    ]
    before = set((outside.data / "encoded").glob("*"))
    for panel, parameters in asked:
        url = f"/runs/{run_id}/figures/{panel}"
        assert http.get(url, params=parameters).json() == client.get(url, params=parameters).json(), panel
    assert len(set((outside.data / "encoded").glob("*")) - before) == len(asked)
    for wrong in ({"layer": 24}, {"step": 2}, {"label": ["a", "b"]}, {"view": "none"}):
        assert http.get(f"/runs/{run_id}/figures/gain", params=wrong).status_code == 422


def test_what_the_caller_has_is_not_sent_again(http: httpx.Client, client: httpx.Client, run_id: str) -> None:
    compute(client, SPEC)
    for asker in (http, client):
        etag = asker.get(f"/runs/{run_id}/result.csv").headers["etag"]
        again = asker.get(f"/runs/{run_id}/result.csv", headers={"If-None-Match": etag})
        assert (again.status_code, again.content) == (304, b"")
        assert asker.get(f"/runs/{run_id}/result.csv", headers={"If-None-Match": '"other"'}).status_code == 200


@pytest.mark.parametrize(
    ("asked", "part"),
    [("bytes=10-19", slice(10, 20)), ("bytes=100-", slice(100, None)), ("bytes=-7", slice(-7, None))],
)
def test_a_broken_download_can_go_on(http: httpx.Client, run_id: str, asked: str, part: slice) -> None:
    whole = http.get(f"/runs/{run_id}/result.npz")
    rest = http.get(f"/runs/{run_id}/result.npz", headers={"Range": asked, "If-Range": whole.headers["etag"]})
    assert (rest.status_code, rest.content) == (206, whole.content[part])
    other = http.get(f"/runs/{run_id}/result.npz", headers={"Range": asked, "If-Range": '"older"'})
    assert (other.status_code, other.content) == (200, whole.content)


@pytest.mark.parametrize("asked", ["bytes=9-2", "bytes=99999999-", "lines=1-2", "bytes=1-2,4-5", "bytes=-", "bytes=-0"])
def test_a_range_that_makes_no_sense_gets_everything(http: httpx.Client, run_id: str, asked: str) -> None:
    whole = http.get(f"/runs/{run_id}/result.npz")
    told = http.get(f"/runs/{run_id}/result.npz", headers={"Range": asked})
    assert (told.status_code, told.content) == (200, whole.content)


def test_many_who_ask_at_once_cost_one_file(outside: Server, http: httpx.Client) -> None:
    run_id = compute(http, {**SPEC, "seed": 78})
    with ThreadPoolExecutor(12) as threads:
        told = list(threads.map(lambda _: httpx.get(f"{outside.api}/runs/{run_id}/result.json", timeout=60), range(12)))
    assert {answer.status_code for answer in told} == {200}
    assert len({answer.content for answer in told}) == 1
    kept = list((outside.data / "encoded").glob(f"{run_id}*"))
    assert len(kept) == 1
    assert gzip.decompress(kept[0].read_bytes()) == told[0].content


def test_files_survive_a_restart_and_can_be_deleted(launch: StartServer) -> None:
    flags = OUTSIDE[1:]
    first = launch(*flags)
    with httpx.Client(base_url=first.api, timeout=60) as http:
        run_id = compute(http, SPEC)
        told = http.get(f"/runs/{run_id}/result.json").content
    (kept,) = (first.data / "encoded").iterdir()
    made_at = kept.stat().st_ino
    (first.data / "encoded" / "_left").mkdir()
    first.kill()
    second = launch(*flags)
    with httpx.Client(base_url=second.api, timeout=60) as http:
        assert http.get(f"/runs/{run_id}/result.json").content == told
        assert [path.stat().st_ino for path in (first.data / "encoded").iterdir()] == [made_at]
        assert find_encoders(second) == []
        shutil.rmtree(first.data / "encoded")
        assert http.get(f"/runs/{run_id}/result.json").content == told


def test_no_process_that_encodes_outlives_its_server(launch: StartServer) -> None:
    server = launch(*OUTSIDE[1:])
    with httpx.Client(base_url=server.api, timeout=60) as http:
        run_id = compute(http, SPEC)
        http.get(f"/runs/{run_id}/result.csv")
    assert len(find_encoders(server)) == 1
    server.kill()
    deadline = time.monotonic() + 20
    while find_encoders(server):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_a_process_that_dies_is_replaced(launch: StartServer) -> None:
    server = launch(*OUTSIDE[1:])
    with httpx.Client(base_url=server.api, timeout=60) as http:
        run_id = compute(http, SPEC)
        http.get(f"/runs/{run_id}/result.csv")
        (encoder,) = find_encoders(server)
        os.kill(encoder, signal.SIGKILL)
        time.sleep(0.5)
        told = [http.get(f"/runs/{run_id}/result.npz") for _ in range(2)]
        # The first may come before the death is known.
        assert told[0].status_code in (200, 503)
        assert told[1].status_code == 200
        if told[0].status_code == 503:
            assert told[0].json()["type"].endswith("not-written")
            assert int(told[0].headers["retry-after"]) > 0


def test_too_many_that_wait_are_refused(launch: StartServer) -> None:
    server = launch(*OUTSIDE[1:], "ENCODER_QUEUE=1")
    with httpx.Client(base_url=server.api, timeout=60) as http:
        ids = [compute(http, {**SPEC, "seed": 90 + k}) for k in range(2)]
        http.get(f"/runs/{ids[0]}/result.csv")
        (encoder,) = find_encoders(server)
        os.kill(encoder, signal.SIGSTOP)
        answers: list[httpx.Response] = []
        urls = [f"{server.api}/runs/{run_id}/result.json" for run_id in ids]
        waiting = [threading.Thread(target=lambda url=url: answers.append(httpx.get(url, timeout=60))) for url in urls]
        for thread in waiting:
            thread.start()
        deadline, refused = time.monotonic() + 30, None
        while refused is None:
            assert time.monotonic() < deadline
            time.sleep(0.1)
            try:
                refused = httpx.get(f"{server.api}/runs/{ids[1]}/result.npz", timeout=0.5)
            except httpx.TimeoutException:  # it was the second that waits
                refused = httpx.get(f"{server.api}/runs/{ids[0]}/result.npz", timeout=5)
        os.kill(encoder, signal.SIGCONT)
        for thread in waiting:
            thread.join()
    assert refused.status_code == 503
    assert refused.json()["type"].endswith("queue-full")
    assert refused.headers["retry-after"] == "5"
    assert {answer.status_code for answer in answers} <= {200, 503}


def test_the_files_used_least_lately_go_first(tmp_path: Path) -> None:
    files = EncodedFiles(tmp_path / "kept", 300)
    old = time.time() - 2 * SPARED_S
    for index, key in enumerate(("a", "b", "c")):
        with files.work() as folder:
            made = folder / "made"
            made.write_bytes(bytes(100))
            path = files.put(key, made)
        os.utime(path, (old + index, old + index))
    assert files.find("a") is not None  # used again
    with files.work() as folder:
        (folder / "made").write_bytes(bytes(100))
        files.put("d", folder / "made")
    assert {path.name for path in (tmp_path / "kept").iterdir()} == {"a", "c", "d"}
    assert files.size_bytes == 300
    assert files.evicted == 1


def test_a_file_that_was_just_found_is_spared(tmp_path: Path) -> None:
    files = EncodedFiles(tmp_path / "kept", 50)
    for key in ("a", "b"):
        with files.work() as folder:
            (folder / "made").write_bytes(bytes(100))
            files.put(key, folder / "made")
    assert {path.name for path in (tmp_path / "kept").iterdir()} == {"a", "b"}


def test_a_server_that_stops_creates_no_folder(tmp_path: Path) -> None:
    files = EncodedFiles(tmp_path / "data" / "kept", 50)
    files.begin_stop()
    with pytest.raises(FileNotFoundError), files.work():
        pass
    assert not (tmp_path / "data").exists()
