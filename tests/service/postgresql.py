"""A PostgreSQL server for tests: on a loopback port and in a data folder of its own, and never as root."""

import itertools
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg

from tests.ports import free_port

START_S = 60.0
# No real data is at stake.
OPTIONS = {"listen_addresses": "127.0.0.1", "unix_socket_directories": "", "fsync": "off", "log_min_messages": "fatal"}

_names = itertools.count()


class PostgreSQL:
    """A server that can be stopped and started again, on the same port and data."""

    def __init__(self, programs: Path, data: Path, port: int, user: int | None) -> None:
        self._address, self._port, self._user, self._folder = f"127.0.0.1:{port}", port, user, data.parent
        settings = [f"--{name}={value}" for name, value in OPTIONS.items()]
        self._command: list[str | Path] = [programs / "postgres", "-D", data, "-p", str(port), *settings]
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, and wait until it answers."""
        self._process = subprocess.Popen(self._command, user=self._user, cwd=self._folder)
        _wait(self._port, self._process)

    def stop(self) -> None:
        """Stop it at once: connections are cut."""
        if self._process is not None:
            self._process.send_signal(signal.SIGINT)
            self._process.wait(timeout=START_S)
            self._process = None

    def create_database(self) -> str:
        """A new database; its SQLAlchemy URL."""
        name = f"test_{next(_names)}"
        self.execute(f"CREATE DATABASE {name}")
        return f"postgresql+psycopg://postgres@{self._address}/{name}"

    def cut_connections(self, url: str) -> None:
        """End every connection to a database."""
        name = url.rpartition("/")[2]
        self.execute(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'")

    def execute(self, statement: str) -> None:
        """Do something as the superuser."""
        with psycopg.connect(f"postgresql://postgres@{self._address}/postgres", autocommit=True) as connection:
            connection.execute(statement.encode())


def find_programs() -> Path | None:
    """The folder of initdb and postgres, of the newest version where there are several."""
    found = [Path(path).resolve().parent for path in (shutil.which("initdb"), shutil.which("postgres")) if path]
    found += sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: float(path.parent.name), reverse=True)
    return next((path for path in found if (path / "initdb").exists() and (path / "postgres").exists()), None)


@contextmanager
def run_server(programs: Path) -> Iterator[PostgreSQL]:
    """Run a server while the context lasts."""
    # A folder that another user can reach, which those of pytest are not.
    folder, port, user = Path(tempfile.mkdtemp(prefix="mhc-postgresql-")), free_port(), _choose_user()
    data = folder / "data"
    if user is not None:
        os.chown(folder, user, pwd.getpwuid(user).pw_gid)
    initdb: list[str | Path] = [
        programs / "initdb",
        "--pgdata",
        data,
        "--username",
        "postgres",
        "--auth",
        "trust",
        "--no-sync",
    ]
    server = PostgreSQL(programs, data, port, user)
    try:
        subprocess.run(initdb, user=user, cwd=folder, check=True, capture_output=True)
        server.start()
        yield server
    finally:
        server.stop()
        shutil.rmtree(folder)


def _choose_user() -> int | None:
    """The user that the server runs as; None for that of the tests. PostgreSQL does not run as root."""
    return None if os.getuid() else pwd.getpwnam("nobody").pw_uid


def _wait(port: int, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + START_S
    while True:
        try:
            psycopg.connect(f"postgresql://postgres@127.0.0.1:{port}/postgres").close()
            return
        except psycopg.OperationalError:
            if time.monotonic() > deadline or process.poll() is not None:
                raise
            time.sleep(0.05)
