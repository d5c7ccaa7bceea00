"""Servers of the service: the fixtures of the instrument under the same names, each started with `--service`."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import Server, StartServer, start_server

SERVICE = "--service"


def start_service(
    data: Path, *flags: str, port: int | None = None, forked: bool = True, ready: str = "/readyz"
) -> Server:
    """Start a server with accounts, quotas and courses; see `start_server`."""
    return start_server(data, SERVICE, *flags, port=port, forked=forked, ready=ready)


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One server that tests share; they must leave it as usable as they found it."""
    running = start_service(tmp_path_factory.mktemp("service"), "--no-precompute")
    yield running
    running.kill()


@pytest.fixture(scope="session")
def lone_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A shared server with one worker."""
    flags = ("--no-precompute", "--workers", "1", "HEARTBEAT_S=0.2")
    running = start_service(tmp_path_factory.mktemp("lone-service"), *flags)
    yield running
    running.kill()


@pytest.fixture
def launch(tmp_path: Path) -> Iterator[StartServer]:
    """Start servers of a test's own: `launch("--workers", "1")`, on the same data folder each time."""
    started: list[Server] = []

    def build(*flags: str, port: int | None = None, ready: str = "/readyz") -> Server:
        started.append(start_service(tmp_path / "data", "--no-precompute", *flags, port=port, ready=ready))
        return started[-1]

    yield build
    for running in started:
        if running.process.poll() is None:
            running.kill()
