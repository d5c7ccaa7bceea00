"""What tests of the service share."""

from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import pytest

from tests.forked import run_command

Call = Callable[..., CompletedProcess[str]]


@pytest.fixture
def call(tmp_path: Path) -> Call:
    """`python -m app` with these arguments, and with a text for its standard input: `call("run", "-", stdin="{}")`."""
    return lambda *arguments, stdin="": run_command(arguments, stdin, tmp_path)
