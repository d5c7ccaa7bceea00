"""Servers of one database, real processes, which a trial kills and starts again at the same addresses."""

import contextlib
import os
import secrets
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import httpx

from tests.conftest import ROOT, Server
from tests.contract.engine.ray_cluster import read_stat
from tests.forked import fork_server
from tests.limited import to_command
from tests.ports import free_port

READY_S, STOP_S, GONE_S = 600.0, 60.0, 20.0
MARK = "ENDURANCE_TRIAL"  # a variable that all processes of a trial inherit, by which those that are left are found


class Site:
    """Servers on one database.

    Parameters
    ----------
    folder: where logs go, and data folders, one a server.
    flags: of each `serve`.
    count: how many servers.
    is_forked: from a process that has imported the app, which starts them in a tenth of the time.
    environment: variables beside those of this process, of servers that are not forked.
    """

    def __init__(
        self,
        folder: Path,
        flags: Sequence[str],
        count: int = 1,
        *,
        is_forked: bool = False,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.folder, self._flags, self._environment = folder, flags, dict(environment or {})
        self._is_forked = is_forked
        self._ports = [free_port() for _ in range(count)]
        self.servers: list[Server] = []

    @property
    def urls(self) -> list[str]:
        """Addresses, which stay the same when servers start again."""
        return [f"http://127.0.0.1:{port}" for port in self._ports]

    def start(self) -> None:
        """Start all servers, and wait until they can take runs."""
        self.servers = [self._launch(number) for number in range(len(self._ports))]
        for number in range(len(self._ports)):
            self.wait_until_ready(number)

    def restart(self, number: int) -> float:
        """Start a server that has ended; seconds until it can take runs."""
        begun = time.monotonic()
        self.servers[number] = self._launch(number)
        self.wait_until_ready(number)
        return time.monotonic() - begun

    def wait_until_ready(self, number: int) -> None:
        """Wait until a server can take runs.

        Raises
        ------
        RuntimeError
            Where it ended or is not ready in time; with the end of its log.
        """
        server, deadline = self.servers[number], time.monotonic() + READY_S
        with httpx.Client(base_url=server.url, timeout=10) as http:
            while server.process.poll() is None and time.monotonic() < deadline:
                with contextlib.suppress(httpx.TransportError):
                    if http.get("/readyz").status_code == 200:
                        return
                time.sleep(0.1)
        raise RuntimeError(f"{server.url} is not ready; its log ends:\n{server.log.read_text()[-3000:]}")

    def stop(self) -> None:
        """End all servers as an operator would; what does not end is killed."""
        for server in self.servers:
            server.process.send_signal(signal.SIGTERM)
        for server in self.servers:
            try:
                server.process.wait(STOP_S)
            except subprocess.TimeoutExpired:
                server.kill()

    def list_crashes(self) -> list[str]:
        """Tracebacks that servers have logged, from the first start on: what was logged before each, and its end."""
        found = []
        for path in sorted(self.folder.glob("server-*.log")):
            before, *crashes = path.read_text(errors="replace").split("Traceback (most recent call last):\n")
            for crash in crashes:
                lines = crash.splitlines()
                end = next((k for k, line in enumerate(lines) if not line.startswith(" ")), len(lines) - 1)
                where = " ".join(line.strip() for line in lines[max(0, end - 4) : end + 1])
                found.append(f"{(before.splitlines() or [''])[-1]}: {where}")
                before = crash
        return found

    def _launch(self, number: int) -> Server:
        port = self._ports[number]
        data = self.folder / f"data-{number}"
        data.mkdir(parents=True, exist_ok=True)
        log = self.folder / f"server-{number}.log"  # not in the data folder, which a trial may delete
        given = ["serve", "--port", str(port), "--data", str(data), "--no-precompute", *self._flags]
        process = fork_server(given, log) if self._is_forked else self._execute(given, log)
        return Server(process, f"http://127.0.0.1:{port}", data, log)

    def _execute(self, given: Sequence[str], log: Path) -> "subprocess.Popen[bytes]":
        # An operator's settings must not reach a trial.
        kept = {name: value for name, value in os.environ.items() if not name.startswith("MHC_")}
        with log.open("ab") as sink:
            return subprocess.Popen(to_command(given), cwd=ROOT, env=kept | self._environment, stdout=sink, stderr=sink)


def mark() -> str:
    """Mark what this process starts from now on; the text that `find_marked` wants."""
    os.environ[MARK] = secrets.token_hex(8)
    return f"{MARK}={os.environ[MARK]}"


def find_marked(text: str) -> dict[int, str]:
    """Processes that were started since, and what they are called."""
    found = {}
    for path in Path("/proc").glob("[0-9]*"):
        pid = int(path.name)
        with contextlib.suppress(OSError):  # it has ended since, or is another user's
            if text.encode() in (path / "environ").read_bytes() and read_stat(pid)[0] != "Z" and pid != os.getpid():
                found[pid] = (path / "cmdline").read_text().replace("\0", " ")[:200]
    return found


def wait_until_gone(text: str) -> dict[int, str]:
    """What is left of them after a while, but what forks servers, which ends with this process."""
    deadline = time.monotonic() + GONE_S
    while (left := _leave_out(find_marked(text))) and time.monotonic() < deadline:
        time.sleep(0.2)
    return left


def _leave_out(found: dict[int, str]) -> dict[int, str]:
    """What multiprocessing itself has started."""
    ours = str(os.getpid())
    return {
        pid: name
        for pid, name in found.items()
        if "multiprocessing" not in name or not Path(f"/proc/{pid}").exists() or read_stat(pid)[1] != ours
    }
