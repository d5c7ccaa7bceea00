"""Servers on one database: killed, stopped and started again, with an eye on the processes that they leave."""

import contextlib
import os
import signal
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

from tests.conftest import Server, start_server
from tests.endurance.play.databases import Database, Postgresql, Sqlite
from tests.service.postgresql import find_programs, run_server

Store = Literal["sqlite", "postgresql"]

# Tiny runs of one client, many at once: its shares are not what is tried here.
ROOMY = ("--service", "--client-queue-s", "600", "--client-streams", "400", "--connections-per-address", "1000")
LEAVE_S = 60.0  # a process that outlives its server by so long does not end by itself


class Site:
    """`names` are the folders of the servers; `servers` has None in the place of one that is down."""

    def __init__(self, folder: Path, database: Database, names: Sequence[str], flags: Sequence[str]) -> None:
        self.database, self._folders = database, [folder / name for name in names]
        self._flags = ("--no-precompute", *ROOMY, *database.flags, *flags)
        self.servers: list[Server | None] = [None] * len(names)
        self._pids: list[int] = []

    @property
    def up(self) -> list[Server]:
        """Servers that run."""
        return [server for server in self.servers if server is not None]

    def start(self, place: int) -> Server:
        """Start a server in its place, and wait until it can take runs."""
        assert self.servers[place] is None
        server = self.servers[place] = start_server(self._folders[place], *self._flags)
        self._pids.append(server.process.pid)
        return server

    def start_all(self) -> None:
        """Start those that are down."""
        for place, server in enumerate(self.servers):
            if server is None:
                self.start(place)

    def end(self, place: int, number: signal.Signals) -> None:
        """End a server by a signal; its workers must end with it."""
        server = self.servers[place]
        assert server is not None
        if number == signal.SIGKILL:
            server.kill()
        else:
            server.terminate()
            assert server.process.poll() == -number, f"after {number.name} it exits with {server.process.poll()}"
        self.servers[place] = None
        left = wait_for_none([server.process.pid])
        assert not left, f"processes outlive their server by {LEAVE_S:g} s: {left}"

    def renew(self) -> None:
        """Start all servers anew, whatever state they are in."""
        for place, server in enumerate(self.servers):
            if server is not None:
                self.end(place, signal.SIGKILL)
            self.start(place)

    def close(self) -> list[int]:
        """Stop all servers; processes that are left of any."""
        for place, server in enumerate(self.servers):
            if server is not None:
                self.end(place, signal.SIGTERM)
        return wait_for_none(self._pids)

    def kill(self) -> None:
        """End what is left, without a look."""
        for server in self.up:
            server.kill()


def wait_for_none(pids: Sequence[int]) -> list[int]:
    """Processes of these servers that are there still after a while."""
    until = time.monotonic() + LEAVE_S
    while (left := find_processes(pids)) and time.monotonic() < until:
        time.sleep(0.02)
    return left


def find_processes(servers: Sequence[int]) -> list[int]:
    """Processes of servers with these numbers: their own, workers and encoders, which bear the number as a name."""
    names = {f"{kind} of {pid}"[:15] for pid in servers for kind in ("mhc", "enc")}
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):  # it has ended since
            is_theirs = int(folder.name) in servers or (folder / "comm").read_text().strip() in names
            if is_theirs and (folder / "stat").read_text().rpartition(")")[2].split()[0] != "Z":
                found.append(int(folder.name))
    return found


def kill_worker(server: Server, which: int) -> int | None:
    """Kill one of its workers; its number, None where there is none at the moment."""
    if not (workers := server.worker_pids()):
        return None
    pid = workers[which % len(workers)]
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
    return pid


@contextmanager
def open_site(store: Store, *flags: str) -> Iterator[Site]:
    """One server on SQLite, or two on PostgreSQL, in a folder that stays where something fails."""
    folder = Path(tempfile.mkdtemp(prefix="mhc-endurance-"))
    with contextlib.ExitStack() as stack:
        if store == "sqlite":
            site = Site(folder, Sqlite(folder / "a"), ["a"], flags)
        else:
            programs = find_programs()
            if programs is None:
                raise SystemExit("PostgreSQL is missing: apt-get install postgresql")
            url = stack.enter_context(run_server(programs)).create_database()
            site = Site(folder, Postgresql(url), ["a", "b"], flags)
        stack.callback(site.kill)
        site.start_all()
        yield site
