"""What tests of the service share."""

from collections.abc import Callable, Iterator
from pathlib import Path
from subprocess import CompletedProcess

import httpx
import pytest

from tests.conftest import Server
from tests.forked import run_command
from tests.traced import Trace, capture_trace

Call = Callable[..., CompletedProcess[str]]


@pytest.fixture
def call(tmp_path: Path) -> Call:
    """`python -m app` with these arguments, and with a text for its standard input: `call("run", "-", stdin="{}")`."""
    return lambda *arguments, stdin="": run_command(arguments, stdin, tmp_path)


@pytest.fixture(scope="module")
def http(server: Server) -> Iterator[httpx.Client]:
    """HTTP to the API of the server that a module's tests share."""
    with httpx.Client(base_url=server.api, timeout=120) as client:
        yield client


@pytest.fixture(scope="module")
def trace() -> Trace:
    """A trace of a tiny DeepSeek-V4."""
    return capture_trace()
