"""The client of a server below a path of a larger site."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mhc_probe.client import Client
from tests.conftest import start_server

pytestmark = pytest.mark.full

ROOT = "/tools/mhc"


def test_runs_are_submitted_and_read_below_a_path(tmp_path: Path, fresh_spec: Callable[..., dict[str, Any]]) -> None:
    below = start_server(tmp_path, "--no-precompute", "--workers", "1", "--root-path", ROOT)
    try:
        with Client(below.url + ROOT) as client:
            result = client.result(client.submit(fresh_spec()))
    finally:
        below.kill()
    assert result.layers["act_rms"].shape == (4,)
