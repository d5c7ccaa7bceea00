"""Servers of the service: the fixtures of the instrument under the same names, each started with `--service`."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import LONE, Server, StartServer, launch_servers, share_server, start_server
from tests.service.postgresql import PostgreSQL, find_programs, run_server

SERVICE = "--service"


def start_service(
    data: Path, *flags: str, port: int | None = None, forked: bool = True, ready: str = "/readyz"
) -> Server:
    """Start a server with accounts, quotas and courses; see `start_server`."""
    return start_server(data, SERVICE, *flags, port=port, forked=forked, ready=ready)


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The shared server."""
    with share_server(tmp_path_factory.mktemp("service"), SERVICE) as running:
        yield running


@pytest.fixture(scope="session")
def lone_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A shared server with one worker."""
    with share_server(tmp_path_factory.mktemp("lone-service"), SERVICE, *LONE) as running:
        yield running


@pytest.fixture
def launch(tmp_path: Path) -> Iterator[StartServer]:
    """Start servers of a test's own: `launch("--workers", "1")`, on the same data folder each time."""
    with launch_servers(tmp_path / "data", SERVICE) as build:
        yield build


@pytest.fixture(scope="session")
def postgresql() -> Iterator[PostgreSQL]:
    """One PostgreSQL server for all tests; they must leave it running."""
    programs = find_programs()
    if programs is None:
        pytest.skip("PostgreSQL is missing: apt-get install postgresql")
    with run_server(programs) as running:
        yield running
