"""What tests of the service share."""

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from subprocess import CompletedProcess

import httpx
import pytest

from tests.app.store.postgresql import PostgreSQL, find_programs, run_server
from tests.conftest import Server
from tests.forked import run_command
from tests.traced import Trace, capture_trace

Call = Callable[..., CompletedProcess[str]]


@pytest.fixture
def call(tmp_path: Path) -> Call:
    """`python -m app` with these arguments, and with a text for its standard input: `call("run", "-", stdin="{}")`."""
    return lambda *arguments, stdin="": run_command(arguments, stdin, tmp_path)


@pytest.fixture(scope="session")
def postgresql() -> Iterator[PostgreSQL]:
    """One PostgreSQL server for all tests; they must leave it running."""
    programs = find_programs()
    if programs is None:
        pytest.skip("PostgreSQL is missing: apt-get install postgresql")
    with run_server(programs) as running:
        yield running


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of its own, of 20 MB, which can be filled or made read-only."""
    folder = tmp_path / "small"
    folder.mkdir()
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=20m", "none", folder], capture_output=True, check=False)
    if done.returncode:
        pytest.skip("no file system can be mounted here: it needs root")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.full)])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty database of each kind."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'test.db'}"
    server = request.getfixturevalue("postgresql")
    assert isinstance(server, PostgreSQL)
    return server.create_database()


@pytest.fixture(scope="module")
def http(server: Server) -> Iterator[httpx.Client]:
    """HTTP to the API of the server that a module's tests share."""
    with httpx.Client(base_url=server.api, timeout=120) as client:
        yield client


@pytest.fixture(scope="module")
def trace() -> Trace:
    """A trace of a tiny DeepSeek-V4."""
    return capture_trace()
