"""`make cluster`: a Ray head, two nodes, PostgreSQL and two servers on this machine, all of them real processes.

For tests and demonstrations: every process is here, so it shows what happens, and not how fast it is. The parts are
those that the tests start, and therefore need the packages of the tests.
"""

import argparse
import contextlib
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from tests.contract.engine.ray_cluster import RayCluster
from tests.ports import free_port
from tests.service.postgresql import find_programs, run_server

READY_S, STOP_S = 180.0, 30.0


class LocalCluster:
    """What runs while the context of `start_all` lasts."""

    def __init__(self, ray: RayCluster, database_url: str, servers: list["Server"]) -> None:
        self.ray, self.database_url, self.servers = ray, database_url, servers


class Server:
    """One `python -m app serve` with workers in the cluster."""

    def __init__(self, folder: Path, port: int, settings: dict[str, str]) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self.log = folder / f"server-{port}.log"
        given = {"--port": str(port), "--data": str(folder / f"data-{port}"), **settings}
        flags = [word for pair in given.items() for word in pair]
        command = [sys.executable, "-m", "app", "serve", "--service", *flags]
        with self.log.open("wb") as log:
            # Ctrl-C is for this program, which stops servers before what they need.
            self.process = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)

    def wait_until_ready(self) -> None:
        """Until it can take runs.

        Raises
        ------
        RuntimeError
            Where it ended, or is not ready in time; with the end of its log.
        """
        deadline = time.monotonic() + READY_S
        while self.process.poll() is None and time.monotonic() < deadline:
            with contextlib.suppress(OSError), urllib.request.urlopen(f"{self.url}/readyz", timeout=5):
                return
            time.sleep(0.1)
        raise RuntimeError(f"the server at {self.url} is not ready; its log ends:\n{self.log.read_text()[-2000:]}")

    def stop(self) -> None:
        """As an operator would; what does not end is killed."""
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


@contextmanager
def start_all(ports: list[int], workers: int, nodes: int) -> Iterator[LocalCluster]:
    """Start everything, and stop it in the opposite order."""
    programs = find_programs()
    if programs is None:
        raise SystemExit("PostgreSQL is missing: apt-get install postgresql")
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="mhc-cluster-")))
        url = stack.enter_context(run_server(programs)).create_database()
        cpus = -(-len(ports) * workers // nodes) + 2  # a worker holds one, a wide run two
        ray = RayCluster(nodes, cpus)
        stack.callback(ray.stop)
        flags = {"--engine": "ray", "--ray-address": ray.address, "--database-url": url, "--workers": str(workers)}
        servers = []
        for port in ports:
            servers.append(Server(folder, port or free_port(), flags))
            stack.callback(servers[-1].stop)
            servers[-1].wait_until_ready()
        yield LocalCluster(ray, url, servers)


def listen_to_signals() -> None:
    """Both ask for an end, also where a shell that started this in the background had Ctrl-C ignored."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler)


def main() -> None:
    """Start everything, say where it is, and stop it at Ctrl-C."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--ports", type=int, nargs="+", default=[8000, 8001], help="one server each; 0 takes a free one"
    )
    parser.add_argument("--workers", type=int, default=2, help="of each server")
    parser.add_argument("--nodes", type=int, default=2, help="machines of the cluster of Ray, beside its head")
    given = parser.parse_args()
    listen_to_signals()
    with contextlib.suppress(KeyboardInterrupt), start_all(given.ports, given.workers, given.nodes) as cluster:
        listen_to_signals()  # Ray has put a handler of its own in place of one
        for server in cluster.servers:
            print(f"server      {server.url}  (log {server.log})")
        print(f"PostgreSQL  {cluster.database_url}\nRay         {cluster.ray.address}\nCtrl-C stops all.", flush=True)
        while all(server.process.poll() is None for server in cluster.servers):
            time.sleep(0.5)
        print("a server ended by itself", file=sys.stderr)


if __name__ == "__main__":
    main()
