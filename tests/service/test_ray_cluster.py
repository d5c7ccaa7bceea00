"""What only a cluster can do to a run: lose a machine or the bridge, lack resources, and be of another version."""

import asyncio
import os
import signal
import socket
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from mhc_core.spec import RunSpec, parse_spec
from mhc_scope.engine.contract import RUN, Job
from mhc_service.ray.actor import Introduction
from mhc_service.ray.bridge import Bridge
from mhc_service.ray.engine import RayEngine
from mhc_service.ray.options import Options
from mhc_service.ray.slot import RELEASE_AFTER_S, explain_version_mismatch
from mhc_service.settings import ServiceSettings
from tests.contract.engine.bench import SMALL, Bench, wait_until
from tests.contract.engine.harness import RayHarness, kill
from tests.contract.engine.ray_cluster import GIB, RayCluster, find_actors, read_stat, start_cluster
from tests.service.conftest import start_service

pytestmark = pytest.mark.full
Case = Callable[[Bench], Awaitable[None]]
WIDE = SMALL | {"depth": 3, "width": 1024, "input": {"kind": "gaussian", "batch": 16, "tokens": 256}}

TRAINED = SMALL | {"input": {"kind": "text", "batch": 1, "tokens": 8}, "train": {"steps": 3}}

PRETENCE = """
import sys
if "mhc_service.ray.bridge" in sys.orig_argv:
    import mhc_core
    mhc_core.__version__ = "9.9.9"
"""


def play(case: Case, **settings: Any) -> None:
    """Start an engine, play a case, and stop it; no process of its workers is left."""

    async def scene() -> None:
        bench = Bench(RayHarness(), **{"workers": 1, **settings})
        await bench.start()
        try:
            await case(bench)
            assert bench.recorder.broken == []
        finally:
            await bench.engine.stop()
        await wait_until(lambda: not bench.harness.list_workers(), 10)

    asyncio.run(asyncio.wait_for(scene(), 240))  # in this thread: Ray starts machines from the main one alone


def pid_of_bridge(bench: Bench) -> int:
    assert isinstance(bench.engine, RayEngine)
    pid = bench.engine.bridge_pid
    assert pid is not None
    return pid


def test_a_cluster_writes_its_address_into_its_own_folder() -> None:
    """Ray's default folder may not exist, or hold the address of another cluster."""
    cluster = start_cluster()
    (written,) = cluster.folder.rglob("ray_current_cluster")
    assert written.read_text() == cluster.address


def test_a_run_fails_with_the_bridge_and_the_next_one_finds_another(capfd: pytest.CaptureFixture[str]) -> None:
    """The bridge is killed, then stopped, then hangs while a run is cancelled. One that ends in mid-run is silent."""

    async def case(bench: Bench) -> None:
        (busy,) = await bench.occupy()
        old = pid_of_bridge(bench)
        kill(old)
        end = await bench.recorder.wait_for_end(busy)
        assert (end.status, end.reason) == ("failed", "the bridge to the cluster ended (signal 9)")
        assert end.index == len(bench.recorder.of[busy].lines) > 0
        await bench.compute()
        assert pid_of_bridge(bench) != old

        (busy,) = await bench.occupy()
        os.kill(pid_of_bridge(bench), signal.SIGTERM)
        assert (await bench.recorder.wait_for_end(busy)).status == "failed"
        await bench.compute()

        (busy,) = await bench.occupy()
        bridge = pid_of_bridge(bench)
        os.kill(bridge, signal.SIGSTOP)
        begun = time.monotonic()
        (end,) = await bench.cancel(busy)
        assert (end.status, time.monotonic() - begun < 2) == ("cancelled", True)
        os.kill(bridge, signal.SIGCONT)
        await bench.compute()

        await bench.occupy()
        capfd.readouterr()  # of what was killed above

    play(case)
    assert "Traceback" not in capfd.readouterr().err


def test_a_bridge_whose_server_is_killed_before_it_has_read_all_ends_as_well() -> None:
    async def scene() -> None:
        servers, bridges = socket.socketpair()
        reader, writer = await asyncio.open_connection(sock=bridges)
        writer.write(b"lines that no one reads")
        await writer.drain()
        servers.close()
        with pytest.raises(ConnectionResetError):
            await reader.read()
        await Bridge(Options("", 1, 0.0, 1.0, GIB), writer).serve(reader)

    asyncio.run(asyncio.wait_for(scene(), 20))


def test_on_a_small_cluster_others_are_waited_for_and_a_lost_machine_is_replaced() -> None:
    """One machine with two CPUs: each of two servers holds one."""
    cluster = RayCluster(nodes=1, cpus=2)
    try:
        asyncio.run(asyncio.wait_for(play_on_small_cluster(cluster), 280))
    finally:
        cluster.stop()
    assert not cluster.folder.exists()


async def play_on_small_cluster(cluster: RayCluster) -> None:
    ours, others = (Bench(OnCluster(cluster), workers=1, ray_wait_s=2) for _ in range(2))
    for bench in (ours, others):
        await bench.start()
        await bench.wait_until_ready()
    end = await ours.recorder.wait_for_end(await ours.submit(WIDE))
    assert end.reason == "the cluster had no 2 CPU and 2.0 GiB free on one machine for 2 s"
    await ours.compute()
    stopped = await ours.submit(WIDE)
    await ours.recorder.wait_for(lambda: ours.recorder.of[stopped].started)
    assert [end.status for end in await ours.cancel(stopped)] == ["cancelled"]
    await others.engine.stop()
    await lose_machine(cluster, ours)
    await ours.engine.stop()


async def lose_machine(cluster: RayCluster, bench: Bench) -> None:
    (busy,) = await bench.occupy()
    (node,) = cluster.nodes
    kill(node.all_processes["raylet"][0].process.pid)
    end = await bench.recorder.wait_for_end(busy)
    assert end.status == "failed"
    assert "lost with its machine" in str(end.reason)
    cluster.add_node(cpus=2)
    await bench.compute()


class OnCluster(RayHarness):
    """A harness on a cluster of its own."""

    def __init__(self, cluster: RayCluster) -> None:
        super().__init__()
        self.address = cluster.address


def test_workers_keep_trained_stacks_in_the_folder_of_the_settings(tmp_path: Path) -> None:
    """The second run reads what the first has trained, on whatever worker, and its time is predicted so."""
    folder = tmp_path / "trained"
    plain = parse_spec(TRAINED)
    edited = parse_spec(TRAINED | {"edits": [{"layers": [1, 1], "what": "branch", "do": "zero"}]})

    async def compute(bench: Bench, job_id: str, spec: RunSpec) -> None:
        await bench.wait_until_free()
        bench.engine.submit(Job(job_id, RUN, spec.canonical()))
        assert (await bench.recorder.wait_for_end(job_id)).status == "done"

    async def case(bench: Bench) -> None:
        assert not bench.engine.has_trained(edited)
        await compute(bench, "plain", plain)
        (path,) = folder.iterdir()
        stored_at = path.stat().st_mtime_ns
        assert bench.engine.has_trained(edited)
        await compute(bench, "edited", edited)
        assert list(folder.iterdir()) == [path]
        assert path.stat().st_mtime_ns > stored_at
        counts = [len(bench.recorder.of[job_id].lines) for job_id in ("plain", "edited")]
        assert counts[0] == counts[1] > 3

    play(case, ray_trained=str(folder))


def test_what_the_cluster_lacks_is_refused_at_once() -> None:
    async def case(bench: Bench) -> None:
        await bench.wait_until_ready()
        begun = time.monotonic()
        end = await bench.recorder.wait_for_end(await bench.submit(WIDE))
        assert end.status == "failed"
        assert str(end.reason).startswith("the run needs 512 CPU and 2.0 GiB on one machine, and the cluster has none")
        assert time.monotonic() - begun < 5
        await bench.compute()

    play(case, ray_cpus=512)


def test_a_larger_worker_takes_the_place_of_a_small_one_and_gives_back_what_it_held() -> None:
    async def case(bench: Bench) -> None:
        await bench.wait_until_ready()
        (small,) = bench.harness.list_workers()
        await bench.compute(WIDE)
        (large,) = bench.harness.list_workers()
        assert large != small
        await wait_until(lambda: large not in bench.harness.list_workers(), RELEASE_AFTER_S + 30)
        await bench.compute()
        (again,) = bench.harness.list_workers()
        assert again not in (small, large)
        assert bench.engine.ready_workers == 1

    play(case)


def test_an_engine_without_a_cluster_at_the_address_takes_no_job_and_says_so(caplog: pytest.LogCaptureFixture) -> None:
    async def scene() -> None:
        engine = RayEngine(ServiceSettings(engine="ray", ray_address="127.0.0.1:9", workers=1))
        bench = Bench(RayHarness(), workers=1)
        bench.engine = engine
        await bench.start()
        await wait_until(lambda: "the bridge to the cluster ended" in caplog.text, 120)
        assert (engine.ready_workers, engine.free) == (0, 0)
        await engine.stop()
        assert engine.bridge_pid is None

    asyncio.run(scene())


def test_numbers_of_other_versions_are_not_taken() -> None:
    other = Introduction("process 7 on node-3", {"mhc_core": "0.1.0", "torch": "2.0.0"}, b"{}")
    said = str(explain_version_mismatch(other))
    assert said.startswith("the worker (process 7 on node-3) has mhc_core 0.1.0, torch 2.0.0, the server mhc_core ")
    assert said.endswith("install the same on both")


def test_a_run_on_a_worker_of_another_version_fails_with_both(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The bridge is made to believe that it is of another version; the worker is as it is."""
    (tmp_path / "sitecustomize.py").write_text(PRETENCE)
    start_cluster()  # Before the path changes.
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path), *sys.path]))

    async def case(bench: Bench) -> None:
        end = await bench.recorder.wait_for_end(await bench.submit())
        assert end.status == "failed"
        assert "the server mhc_core 9.9.9" in str(end.reason)

    play(case)


@pytest.fixture(autouse=True)
def no_bridge_is_left() -> Iterator[None]:
    yield
    deadline = time.monotonic() + 10
    while list_bridges() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert list_bridges() == []


def list_bridges() -> list[int]:
    """Bridges that are children of this process."""
    return list_children(os.getpid())


def test_a_killed_server_leaves_nothing_in_the_cluster(tmp_path: Path) -> None:
    flags = ("--engine", "ray", "--ray-address", start_cluster().address, "--workers", "1")
    before = set(find_actors())
    server = start_service(tmp_path, *flags, "--no-precompute", forked=False)
    (bridge,) = list_children(server.process.pid)
    assert set(find_actors()) - before
    server.kill()
    deadline = time.monotonic() + 20
    while (set(find_actors()) - before or is_running(bridge)) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert set(find_actors()) - before == set()
    assert not is_running(bridge)


def list_children(pid: int) -> list[int]:
    """Children that are bridges: a server has others."""
    children = [int(each) for path in Path(f"/proc/{pid}/task").glob("*/children") for each in path.read_text().split()]
    return [child for child in children if b"mhc_service.ray.bridge" in Path(f"/proc/{child}/cmdline").read_bytes()]


def is_running(pid: int) -> bool:
    """Whether the process is there, and not only its entry."""
    return Path(f"/proc/{pid}/stat").exists() and read_stat(pid)[0] != "Z"
