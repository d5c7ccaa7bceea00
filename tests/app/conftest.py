"""What tests of the service share."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.app.store.place import LocalPlace, Place
from tests.conftest import Server
from tests.traced import Trace, read_trace


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


@pytest.fixture
def place(tmp_path: Path) -> Place:
    """An empty database."""
    return LocalPlace(tmp_path)


@pytest.fixture(scope="module")
def http(server: Server) -> Iterator[httpx.Client]:
    """HTTP to the API of the server that a module's tests share."""
    with httpx.Client(base_url=server.api, timeout=120) as client:
        yield client


@pytest.fixture(scope="module")
def trace() -> Trace:
    """A trace of a tiny DeepSeek-V4."""
    return read_trace()
